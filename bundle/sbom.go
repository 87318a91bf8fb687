package bundle

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/sbom"
)

// SBOM returns what the bundle's record says for a bill of materials: the modules whose zips are carried, and the
// toolchains of all platforms. The record is held against the manifests; that the layers have the sums it says is for
// [Verified.Check].
func (v *Verified) SBOM(ctx context.Context) (*sbom.Content, error) {
	record, _, err := v.openGraph(ctx)
	if err != nil {
		return nil, fmt.Errorf("module graph %s: %w", v.graph().Digest, err)
	}
	var created time.Time
	if text := v.annotations[ocispec.AnnotationCreated]; text != "" {
		if created, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("%w: index %s: annotation %s: %w", ErrMismatch, v.Index.Digest, ocispec.AnnotationCreated, err)
		}
	}
	return record.sbom(v.Index.Digest, created), nil
}

func (r *Record) sbom(index digest.Digest, created time.Time) *sbom.Content {
	content := &sbom.Content{Name: r.title(), Digest: index, Created: created}
	if len(r.Projects) > 1 {
		for _, p := range r.Projects {
			if p.Path != "" {
				content.Projects = append(content.Projects, p.Path)
			}
		}
	}
	for _, m := range r.zips() {
		content.Modules = append(content.Modules, sbom.Module{Path: m.Path, Version: m.Version, Sum: m.Sum, NoSumDB: m.NoSumDB})
	}
	for _, t := range r.Toolchains {
		content.Modules = append(content.Modules, sbom.Module{Path: t.Path, Version: t.Version, Sum: t.Sum, NoSumDB: t.NoSumDB, Toolchain: true})
	}
	return content
}
