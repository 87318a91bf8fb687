package oci

import (
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Over returns top with what it lacks out of base, for who wants to read a delta where it is whole. Closing it closes
// neither.
func Over(top, base Store) Store { return overlay{top, base} }

type overlay struct {
	Store
	base Store
}

// holder is the store that has the blob, if one has it.
func (o overlay) holder(desc ocispec.Descriptor) Store {
	if len(Lacking(o.Store, []ocispec.Descriptor{desc})) > 0 {
		return o.base
	}
	return o.Store
}

func (o overlay) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return o.holder(desc).Fetch(ctx, desc)
}

func (o overlay) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	return o.holder(desc).Exists(ctx, desc)
}

func (o overlay) Close() error { return nil }
