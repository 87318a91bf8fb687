package bundle

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/sbom"
)

// SBOM returns what the bundle's record says for a bill of materials: the modules whose zips are carried, the
// toolchains of all platforms, and the tools with what they are built of. The record is held against the manifests; that the layers have the sums it says is for
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
	r.toolContent(content)
	return content
}

// toolContent adds the tools, and what they are built of and is not carried whole.
func (r *Record) toolContent(content *sbom.Content) {
	modules := make(map[string]sbom.Module)
	for _, m := range r.ToolModules {
		content.Modules = append(content.Modules, sbom.Module{Path: m.Path, Version: m.Version, Sum: m.Sum, NoSumDB: m.NoSumDB})
	}
	for _, m := range content.Modules {
		modules[m.Path+"@"+m.Version] = m
	}
	for _, t := range r.Tools {
		tool := sbom.Tool{Package: t.Package, Platform: t.Platform, Module: modules[t.Module+"@"+t.Version]}
		for _, name := range t.Modules {
			tool.BuiltOf = append(tool.BuiltOf, modules[name])
		}
		content.Tools = append(content.Tools, tool)
	}
}
