package oci

import (
	"context"
	"io"
	"iter"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func (in *incoming) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	data, ok := in.documents[desc.Digest]
	if !ok {
		return nil, notIn(in.place(), desc.Digest)
	}
	return inMemoryBlob(data), nil
}

func (in *incoming) blobSize(d digest.Digest) (int64, error) {
	size, ok := in.arrived[d]
	if !ok {
		return 0, notIn(in.place(), d)
	}
	return size, nil
}

func (in *incoming) place() string { return "the archive" }

func (in *incoming) Exists(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	size, ok := in.arrived[desc.Digest]
	return ok && size == desc.Size, nil
}

func (in *incoming) Resolve(ctx context.Context, target string) (ocispec.Descriptor, error) {
	return in.index.resolve(ctx, in, target)
}

func (in *incoming) Predecessors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	return in.index.predecessors(ctx, in, desc)
}

func (in *incoming) Tags(context.Context) iter.Seq2[string, error] { return in.index.tags() }

func (in *incoming) Push(context.Context, ocispec.Descriptor, io.Reader) error {
	return errReadOnly(in.place())
}
func (in *incoming) Tag(context.Context, ocispec.Descriptor, string) error {
	return errReadOnly(in.place())
}
func (in *incoming) Close() error { return nil }
