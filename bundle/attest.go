package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// The types of the attestations that goferry makes of its own.
const (
	PredicateProvenance = "https://slsa.dev/provenance/v1"
	PredicateCycloneDX  = "https://cyclonedx.org/bom"
)

// Attested is what Attest did.
type Attested struct {
	Digest        digest.Digest `json:"digest"`
	MediaType     string        `json:"mediaType"`
	PredicateType string        `json:"predicateType"`
	KeyID         string        `json:"keyID"` // base64 of the public key's SHA-256
	Added         bool          `json:"added"` // false: the key says the same already
}

// Attest attaches what signer says of what target names: a predicate, in JSON, of the type. The manifests that an index
// names get none. An attestation is a sigstore bundle, which hides the signatures from cosign that are not in one; so it
// is [ErrHidden] unless there is a signature, by whomever, that is in one.
func Attest(ctx context.Context, s oci.Store, target string, signer *signing.Signer, predicateType string, predicate []byte, now time.Time) (*Attested, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	attested := &Attested{Digest: desc.Digest, MediaType: desc.MediaType, PredicateType: predicateType, KeyID: signer.Verifier().ID()}
	if err := attested.attest(ctx, s, signer, desc, predicate, now); err != nil {
		return nil, fmt.Errorf("attest %s: %w", desc.Digest, err)
	}
	return attested, nil
}

func (a *Attested) attest(ctx context.Context, s oci.Store, signer *signing.Signer, desc ocispec.Descriptor, predicate []byte, now time.Time) error {
	stored, err := readSignatures(ctx, s, desc)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(stored.list, func(st storedSignature) bool { return st.format == FormatBundle && st.Concerns(a.Digest) }) {
		return fmt.Errorf("%w: no signature is in one", ErrHidden)
	}
	there, err := stored.says(ctx, s, signer.Verifier(), a, predicate)
	if err != nil || there {
		return err
	}
	data, err := signer.SignAttestation(a.Digest, a.PredicateType, predicate)
	if err != nil {
		return err
	}
	a.Added = true
	subject := ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
	return attach(ctx, s, subject, data, a.PredicateType, now)
}

// says reports whether the key has made the same attestation before.
func (f *storedSignatures) says(ctx context.Context, s oci.Store, key *signing.Verifier, a *Attested, predicate []byte) (bool, error) {
	reader := &attestationReader{
		storedSignatures: &storedSignatures{bundles: f.bundles},
		store:            s, want: a.Digest, types: []string{a.PredicateType}, keys: []*signing.Verifier{key},
	}
	if err := reader.read(ctx); err != nil {
		return false, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, predicate); err != nil {
		return false, fmt.Errorf("predicate: %w", err)
	}
	return slices.ContainsFunc(reader.found, func(found Attestation) bool { return bytes.Equal(found.Predicate, compact.Bytes()) }), nil
}
