package bundle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// An Attestation is one that was found right: the key signed it, it is about the digest, and of the type.
type Attestation struct {
	PredicateType string        `json:"predicateType"`
	Key           string        `json:"key"`    // the name of the key
	KeyID         string        `json:"keyID"`  // base64 of its SHA-256
	Digest        digest.Digest `json:"digest"` // of the blob that it was read from
	Predicate     []byte        `json:"-"`      // what the key says: JSON on one line
}

// maxAttestationSum is how many bytes of attestations are read to find those that are asked for.
const maxAttestationSum = 256 << 20

// annotationEnvelopeType is where cosign 2 says of which type the attestation in an envelope is.
const annotationEnvelopeType = "predicateType"

// demandAttestations takes back what was decided for rules that are kept, if none of their keys made an attestation of
// a type that is asked for.
func (t *Trust) demandAttestations(ctx context.Context, s oci.Store, want digest.Digest, stored *storedSignatures, decisions []Decision) error {
	a := &attestationReader{storedSignatures: &storedSignatures{bundles: stored.bundles}, store: s, want: want, types: t.Attestations}
	for _, r := range t.Rules {
		for _, key := range r.Keys {
			a.keys = append(a.keys, key.Verifier)
		}
	}
	err := a.findEnvelopes(ctx, s, want)
	if err == nil {
		err = a.read(ctx)
	}
	if err != nil {
		return fmt.Errorf("attestations of %s: %w", want, err)
	}
	for i := range decisions {
		if d := &decisions[i]; d.Err == nil {
			d.Attestations, d.Err = a.believed(&t.Rules[i], t.Now)
		}
	}
	return nil
}

// findEnvelopes adds what is kept as cosign 2 keeps attestations: in the manifest with the tag .att.
func (f *storedSignatures) findEnvelopes(ctx context.Context, s oci.Store, want digest.Digest) error {
	tagged, err := oci.Find(ctx, s, oci.AttestationTag(want))
	if err != nil || tagged.Digest == "" {
		return f.problem(ctx, err)
	}
	var m ocispec.Manifest
	if _, err := oci.FetchDocument(ctx, s, tagged, &m); err != nil {
		return f.problem(ctx, fmt.Errorf("manifest %s: %w", tagged.Digest, err))
	}
	for _, l := range m.Layers {
		if l.MediaType == signing.MediaTypeEnvelope {
			f.bundles = append(f.bundles, storedBundle{l, l.Annotations[annotationEnvelopeType]})
		}
	}
	return nil
}

// attestationReader finds the attestations of some types by some keys, among what anybody may have stored.
type attestationReader struct {
	*storedSignatures
	store oci.Store
	want  digest.Digest
	types []string
	keys  []*signing.Verifier

	found []Attestation // without the names of keys
}

// read reads what may be of one of the types. Only what one of the keys signed is kept in memory.
func (a *attestationReader) read(ctx context.Context) error {
	candidates := slices.DeleteFunc(smallestFirst(a.bundles), func(b storedBundle) bool { return !slices.ContainsFunc(a.types, b.mayHave) })
	for i, b := range candidates {
		if i == maxSignatures || a.bytes > maxAttestationSum {
			a.problems = append(a.problems, fmt.Errorf("more than %d, or more than %d bytes, are not read", maxSignatures, maxAttestationSum))
			return nil
		}
		if err := a.problem(ctx, a.readOne(ctx, b)); err != nil {
			return err
		}
	}
	return nil
}

func (a *attestationReader) readOne(ctx context.Context, b storedBundle) error {
	data, err := oci.FetchBytes(ctx, a.store, b.blob, signing.MaxAttestation)
	if err != nil {
		return err
	}
	a.bytes += int64(len(data))
	parse := signing.ParseAttestation
	if b.blob.MediaType == signing.MediaTypeEnvelope {
		parse = signing.ParseEnvelope
	}
	attestation, err := parse(data)
	if err != nil {
		return err
	}
	var errs []error
	for _, predicateType := range a.types {
		if !b.mayHave(predicateType) {
			continue
		}
		for _, key := range a.keys {
			predicate, err := attestation.Verify(key, a.want, predicateType)
			if err == nil {
				a.found = append(a.found, Attestation{predicateType, "", key.ID(), b.blob.Digest, predicate})
				return nil
			}
			if !errors.Is(err, signing.ErrNoMatch) {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return errors.New("by another key")
}

// believed returns the attestations that the rule's keys made. There has to be one of each type.
func (a *attestationReader) believed(r *Rule, now time.Time) ([]Attestation, error) {
	var good []Attestation
	for _, predicateType := range a.types {
		before := len(good)
		var reasons []string
		for _, found := range a.found {
			if found.PredicateType != predicateType {
				continue
			}
			var err error
			if found.Key, err = r.keyOf(found, now); err != nil {
				reasons = append(reasons, err.Error())
				continue
			}
			good = append(good, found)
		}
		if len(good) == before {
			for _, err := range a.problems {
				reasons = append(reasons, err.Error())
			}
			return nil, fmt.Errorf("%w: %s: no matching attestation of the type %q%s", ErrUntrusted, a.want, predicateType, some(reasons))
		}
	}
	return good, nil
}

// keyOf returns the name of the rule's key that made an attestation.
func (r *Rule) keyOf(a Attestation, now time.Time) (string, error) {
	err := errors.New("by another key")
	for _, key := range r.Keys {
		if key.ID() != a.KeyID {
			continue
		}
		if err = key.checkTime(now); err == nil {
			return key.Name, nil
		}
		err = fmt.Errorf("by the key %s: %w", key.Name, err)
	}
	return "", err
}
