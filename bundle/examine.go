package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// Examine is [Verify] and [Verified.Check] for who wants to know of all that is damaged in one run. Where a document
// is, so that there is no bundle to be checked, the report has at least every blob whose bytes are not there or not
// right, as far as the other documents name them.
func Examine(ctx context.Context, s oci.Store, target string, opts VerifyOptions) (*Report, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	v, err := verify(ctx, s, desc, target, opts)
	if err == nil {
		return v.Check(ctx)
	}
	if !isProblem(err) || errors.Is(err, ErrNotBundle) || errors.Is(err, ErrUntrusted) || errors.Is(err, ErrRollback) {
		return nil, err
	}
	report := reporter(opts.Progress)
	checked, _ := oci.Check(ctx, s, desc, oci.CopyOptions{
		OnBytes: func(n int64) { report(Event{Stage: "verify", Bytes: n}) },
	})
	if len(checked.Damaged) == 0 {
		return nil, cmp.Or(ctx.Err(), err)
	}
	if slices.ContainsFunc(checked.Damaged, func(d oci.Damage) bool { return !isLayer(d.Descriptor) }) {
		err = nil // it is one of them
	}
	r := &Report{Digest: desc.Digest, Blobs: checked.Blobs, Bytes: checked.Bytes, Problems: problems(checked.Damaged)}
	return r, errors.Join(err, joinProblems(r.Problems))
}

func isLayer(desc ocispec.Descriptor) bool { return layerKind(desc) != kindUnknown }

// problems names what is damaged.
func problems(damaged []oci.Damage) []Problem {
	var list []Problem
	for _, d := range damaged {
		err := fmt.Errorf("%w: %w", ErrMismatch, d.Err) // which names the blob
		if errors.Is(d.Err, oci.ErrNotFound) {
			err = named("blob", d.Descriptor.Digest, d.Err)
		}
		list = append(list, Problem{Name: BlobName(d.Descriptor), Digest: d.Descriptor.Digest, Modules: grouped(d.Descriptor), Err: err, Error: err.Error()})
	}
	slices.SortStableFunc(list, func(a, b Problem) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

func joinProblems(list []Problem) error {
	var errs []error
	for _, p := range list {
		errs = append(errs, fmt.Errorf("%s: %w", p.Name, p.Err))
	}
	return errors.Join(errs...)
}

// BlobName says what a blob of a bundle is, for people, by the descriptor where it is named: a module, or "module graph",
// "index", "manifest of linux/amd64", "config", "signature"; or else its media type.
func BlobName(desc ocispec.Descriptor) string {
	switch {
	case layerKind(desc) == kindGraph:
		return "module graph"
	case isLayer(desc):
		return layerName(desc)
	case desc.MediaType == ocispec.MediaTypeImageIndex:
		return "index"
	case desc.MediaType == ocispec.MediaTypeImageManifest && desc.Platform != nil:
		return "manifest of " + desc.Platform.OS + "/" + desc.Platform.Architecture
	case desc.MediaType == ocispec.MediaTypeImageManifest:
		return "manifest"
	case desc.MediaType == ocispec.MediaTypeImageConfig, desc.MediaType == MediaTypeConfig:
		return "config"
	case desc.MediaType == signing.MediaTypePayload, strings.HasPrefix(desc.MediaType, bundleMediaTypes):
		return "signature"
	}
	return desc.MediaType
}
