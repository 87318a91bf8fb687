package oci

import (
	"context"
	"errors"
	"fmt"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// FileStore is a [Store] whose blobs are files, or parts of one. Layouts and archives are.
type FileStore interface {
	// OpenFile returns a file of the caller's own, who closes it, and where in it the blob begins. It is
	// [errors.ErrUnsupported] for an archive whose name another file has by now: Fetch still reads the old one.
	OpenFile(ctx context.Context, desc ocispec.Descriptor) (f *os.File, offset int64, err error)
}

// OpenFile opens the file that is the blob.
func (l *layout) OpenFile(ctx context.Context, desc ocispec.Descriptor) (*os.File, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	if !validDigest(desc.Digest) {
		return nil, 0, malformed("malformed digest %q", desc.Digest)
	}
	f, info, err := l.open(blobPath(desc.Digest))
	if errors.Is(err, ErrNotFound) {
		return nil, 0, notIn(l.dir, desc.Digest)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", l.dir, err)
	}
	if info.Size() != desc.Size {
		f.Close()
		return nil, 0, malformed("%s: blob %s has %d bytes, not %d", l.dir, desc.Digest, info.Size(), desc.Size)
	}
	return f, 0, nil
}

// OpenFile opens the archive once more.
func (a *archive) OpenFile(ctx context.Context, desc ocispec.Descriptor) (*os.File, int64, error) {
	if _, err := a.Fetch(ctx, desc); err != nil {
		return nil, 0, err
	}
	f, err := os.OpenFile(a.path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	if !sameFile(a.file, f) {
		f.Close()
		return nil, 0, fmt.Errorf("%s is another file now: %w", a.path, errors.ErrUnsupported)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return f, a.spans[blobPath(desc.Digest)].offset, nil
}

func sameFile(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
