package bundle

import (
	"context"
	"fmt"
	"time"

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
	content := &sbom.Content{Name: record.title(), Digest: v.Index.Digest}
	if text := v.annotations[ocispec.AnnotationCreated]; text != "" {
		if content.Created, err = time.Parse(time.RFC3339, text); err != nil {
			return nil, fmt.Errorf("%w: index %s: annotation %s: %w", ErrMismatch, v.Index.Digest, ocispec.AnnotationCreated, err)
		}
	}
	if len(record.Projects) > 1 {
		for _, p := range record.Projects {
			if p.Path != "" {
				content.Projects = append(content.Projects, p.Path)
			}
		}
	}
	for _, m := range record.zips() {
		content.Modules = append(content.Modules, sbom.Module{Path: m.Path, Version: m.Version, Sum: m.Sum, NoSumDB: m.NoSumDB})
	}
	for _, t := range record.Toolchains {
		content.Modules = append(content.Modules, sbom.Module{Path: t.Path, Version: t.Version, Sum: t.Sum, NoSumDB: t.NoSumDB, Toolchain: true})
	}
	return content, nil
}
