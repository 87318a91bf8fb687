package oci

import (
	"cmp"
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Checked is what Check read.
type Checked struct {
	Blobs int   // documents and blobs, each counted once
	Bytes int64 // of them
}

// Check reads all that root names, directly or through others, each blob once, and fails unless every byte is what
// its descriptor says. What refers to root is not looked at. Of the options only Concurrency and OnBytes count.
func Check(ctx context.Context, s Store, root ocispec.Descriptor, opts CopyOptions) (Checked, error) {
	g, err := walkDown(ctx, s, root)
	if err != nil {
		return Checked{}, err
	}
	var all Checked
	for _, n := range g.Documents {
		all.Blobs++
		all.Bytes += n.Descriptor.Size
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(cmp.Or(opts.Concurrency, concurrency))
	for _, desc := range g.Blobs {
		all.Blobs++
		all.Bytes += desc.Size
		group.Go(func() error { return checkBlob(groupCtx, s, desc, opts.OnBytes) })
	}
	if err := group.Wait(); err != nil {
		return Checked{}, err
	}
	return all, ctx.Err()
}

func checkBlob(ctx context.Context, s Store, desc ocispec.Descriptor, onBytes func(int64)) error {
	rc, err := s.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer rc.Close()
	// The struct hides ReadAt: a blob is read once, from its beginning.
	_, err = copyBlob(ctx, io.Discard, newMeter(struct{ io.Reader }{rc}, onBytes), desc)
	return err
}
