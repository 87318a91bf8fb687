package oci

import (
	"cmp"
	"context"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Plan is what a copy would do.
type Plan struct {
	Root ocispec.Descriptor
	Move []ocispec.Descriptor // what dst lacks: blobs, with their annotations, and documents behind them
	Have []ocispec.Descriptor // what it has
	Left []ocispec.Descriptor // what the base has
}

// PlanCopy finds out what Copy would do, and changes nothing; nil for dst is a place where nothing is yet. It fails as
// Copy would where something is missing. Of the options only Base and Concurrency count.
func PlanCopy(ctx context.Context, src Store, srcTarget string, dst Store, opts CopyOptions) (*Plan, error) {
	root, g, left, err := selectGraph(ctx, src, srcTarget, opts.Base)
	if err != nil {
		return nil, err
	}
	p := &Plan{Root: root, Left: left}
	all := slices.Clone(g.Blobs)
	for _, n := range g.Documents {
		all = append(all, n.Descriptor)
	}
	if dst == nil {
		p.Move = all
		return p, missing(Lacking(src, g.Blobs), nil)
	}
	there, err := existing(ctx, dst, all, cmp.Or(opts.Concurrency, concurrency))
	if err != nil {
		return nil, err
	}
	for _, desc := range all {
		if there[desc.Digest] {
			p.Have = append(p.Have, desc)
		} else {
			p.Move = append(p.Move, desc)
		}
	}
	return p, missing(Lacking(src, g.Blobs), there)
}
