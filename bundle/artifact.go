package bundle

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// ErrNotBundle is something that is there, and that goferry did not make. It is also [ErrMismatch].
var ErrNotBundle = errors.New("not a goferry bundle")

// An ArtifactReport says what VerifyArtifact proved.
type ArtifactReport struct {
	Digest     digest.Digest `json:"digest"`
	MediaType  string        `json:"mediaType"`
	Blobs      int           `json:"blobs"` // each counted once
	Bytes      int64         `json:"bytes"`
	Signatures []Signature   `json:"signatures"`
	Problems   []Problem     `json:"problems,omitempty"`

	Attestations []Attestation `json:"attestations,omitempty"` // those that were asked for
}

// VerifyArtifact proves of something that need not be a bundle who signed it, and that every blob below it is whole.
// That is more than "cosign verify" does, and less than [Verify] and [Verified.Check]: nothing is known of its content.
// It goes on after a problem; the error joins them all, and there is a report then, too.
// A manifest of a bundle in place of the bundle is [ErrMismatch], unless target is its digest.
func VerifyArtifact(ctx context.Context, s oci.Store, target string, trust *Trust, progress func(Event)) (*ArtifactReport, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	believed, err := trust.check(ctx, s, desc, target)
	if err != nil {
		return nil, err
	}
	var root struct {
		Annotations map[string]string `json:"annotations"`
	}
	if _, err := oci.FetchDocument(ctx, s, desc, &root); err != nil {
		return nil, named("manifest", desc.Digest, err)
	}
	if root.Annotations[AnnotationFormat] != "" && target != desc.Digest.String() {
		return nil, fmt.Errorf("%w: %s is a part of a bundle, in place of the bundle", ErrMismatch, desc.Digest)
	}
	report := reporter(progress)
	checked, err := oci.Check(ctx, s, desc, oci.CopyOptions{
		OnBytes: func(n int64) { report(Event{Stage: "verify", Bytes: n}) },
	})
	if err != nil && len(checked.Damaged) == 0 {
		return nil, named("content of", desc.Digest, err)
	}
	bad := problems(checked.Damaged)
	return &ArtifactReport{
		Digest: desc.Digest, MediaType: desc.MediaType, Blobs: checked.Blobs, Bytes: checked.Bytes,
		Signatures: believed.Signatures, Attestations: believed.Attestations, Problems: bad,
	}, joinProblems(bad)
}

// notBundle is [ErrNotBundle] for a document of another kind.
func notBundle(desc ocispec.Descriptor) error {
	return fmt.Errorf("%w: %w: %s is a %q", ErrMismatch, ErrNotBundle, desc.Digest, desc.MediaType)
}
