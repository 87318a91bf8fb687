package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Damage is a document or blob that is not there, or not what its descriptor says.
type Damage struct {
	Descriptor ocispec.Descriptor // with what it is said to be where it is named: annotations, platform
	Err        error              // [ErrNotFound], [ErrDigest], or what the disk said of it
}

// Checked is what Check read.
type Checked struct {
	Blobs   int      // documents and blobs, each counted once
	Bytes   int64    // of them
	Damaged []Damage // of them; what a document would name that cannot be read is not known
}

// Check reads all that root names, directly or through others, each blob once. It goes on after what is not what its
// descriptor says, and the error joins all of that. What refers to root is not looked at. Of the options only
// Concurrency and OnBytes count.
func Check(ctx context.Context, s Store, root ocispec.Descriptor, opts CopyOptions) (Checked, error) {
	var all Checked
	w := &walker{src: s, sizes: map[digest.Digest]int64{}}
	w.instead = func(desc ocispec.Descriptor, err error) ([]byte, error) {
		if !isDamage(ctx, err) {
			return nil, err
		}
		all.Damaged = append(all.Damaged, Damage{desc, err})
		return nil, nil
	}
	if err := w.walk(ctx, root); err != nil {
		return all, err
	}
	all.Blobs, all.Bytes = w.count()
	damaged, err := checkBlobs(ctx, s, w.Blobs, opts)
	if err != nil {
		return all, err
	}
	all.Damaged = append(all.Damaged, damaged...)
	var errs []error
	for _, d := range all.Damaged {
		errs = append(errs, d.error())
	}
	return all, errors.Join(errs...)
}

func (d Damage) error() error { return fmt.Errorf("%s: %w", d.Descriptor.Digest, d.Err) }

// count is how much was seen, whole or not.
func (w *walker) count() (blobs int, bytes int64) {
	for _, size := range w.sizes {
		blobs++
		bytes += size
	}
	return blobs, bytes
}

// isDamage says whether err is about the bytes that are stored, not about the way to them.
func isDamage(ctx context.Context, err error) bool {
	for _, other := range []error{ErrNetwork, ErrUnauthorized, ErrUsage, fs.ErrPermission} {
		if errors.Is(err, other) {
			return false
		}
	}
	return err != nil && ctx.Err() == nil && (!Gone(err) || Unreadable(err))
}

// checkBlobs returns those of the blobs that are damaged, in their order.
func checkBlobs(ctx context.Context, s Store, blobs []ocispec.Descriptor, opts CopyOptions) ([]Damage, error) {
	var mu sync.Mutex
	bad := map[digest.Digest]error{}
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(opts.Concurrency, concurrency))
	for _, desc := range blobs {
		g.Go(func() error {
			err := checkBlob(groupCtx, s, desc, opts.OnBytes)
			if !isDamage(groupCtx, err) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			bad[desc.Digest] = err
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var damaged []Damage
	for _, desc := range blobs {
		if err := bad[desc.Digest]; err != nil {
			damaged = append(damaged, Damage{desc, err})
		}
	}
	return damaged, ctx.Err()
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
