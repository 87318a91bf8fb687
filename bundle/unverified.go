package bundle

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// Unverified is what is kept as signatures and attestations of something. Nothing of it was verified, and anybody may
// have written it: it is for people to see, and nothing can be made of it but text.
type Unverified struct {
	Signatures   []UnverifiedSignature   `json:"signatures"`
	Attestations []UnverifiedAttestation `json:"attestations"`
	Problems     []string                `json:"problems,omitempty"` // with what could not be read
}

// UnverifiedSignature is what a signature says of itself.
type UnverifiedSignature struct {
	Format    SignatureFormat   `json:"format"`
	KeyHint   string            `json:"keyHint,omitempty"` // by cosign and goferry the base64 of the key's SHA-256
	Reference string            `json:"reference,omitempty"`
	Claims    map[string]string `json:"claims,omitempty"`
}

// UnverifiedAttestation is what a manifest says of an attestation, which was not read.
type UnverifiedAttestation struct {
	PredicateType string        `json:"predicateType,omitempty"`
	Digest        digest.Digest `json:"digest"` // of the blob
	Size          int64         `json:"size"`
}

// ListUnverified says what is kept as signatures and attestations of what target names.
func ListUnverified(ctx context.Context, s oci.Store, target string) (*Unverified, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	stored, err := readSignatures(ctx, s, desc)
	if err == nil {
		err = stored.findEnvelopes(ctx, s, desc.Digest)
	}
	if err != nil {
		return nil, named("signatures of", desc.Digest, err)
	}
	return stored.unverified(desc), nil
}

func (f *storedSignatures) unverified(desc ocispec.Descriptor) *Unverified {
	u := &Unverified{Signatures: []UnverifiedSignature{}, Attestations: []UnverifiedAttestation{}}
	for _, st := range f.list {
		said, err := st.Unverified(desc.Digest)
		if err != nil {
			u.Problems = append(u.Problems, err.Error())
			continue
		}
		u.Signatures = append(u.Signatures, UnverifiedSignature{st.format, st.Hint(), said.Reference, said.Claims})
	}
	u.Problems = append(u.Problems, f.unreadable()...)
	for _, b := range smallestFirst(f.bundles) {
		if !b.mayHave(signing.PredicateType) {
			u.Attestations = append(u.Attestations, UnverifiedAttestation{b.predicateType, b.blob.Digest, b.blob.Size})
		}
	}
	return u
}
