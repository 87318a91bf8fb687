package serve

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// A guard is a store on this machine whose blobs were proven, which others may change all the same. It opens a blob
// only if its file is the one that was proven, as far as its size and time tell, or is proven again.
type guard struct {
	oci.Store
	files oci.FileStore

	mu    sync.Mutex
	known map[digest.Digest]*guarded
}

// guarded is what is known of a blob's file.
type guarded struct {
	mu   sync.Mutex // held while it is proven again, for all who wait for that
	file os.FileInfo
	err  error // that it is another blob
}

// guardFiles returns the store, with a guard if it has files.
func guardFiles(store oci.Store) oci.Store {
	if files, ok := store.(oci.FileStore); ok {
		return &guard{Store: store, files: files, known: make(map[digest.Digest]*guarded)}
	}
	return store
}

// note takes the file of a blob that is about to be proven for the proven one: if it is replaced meanwhile, it is proven
// once more than needed. What is known already was proven before. A blob that cannot be opened is left to whoever proves it.
func (g *guard) note(ctx context.Context, desc ocispec.Descriptor) {
	g.mu.Lock()
	_, ok := g.known[desc.Digest]
	g.mu.Unlock()
	if ok {
		return
	}
	f, _, err := g.files.OpenFile(ctx, desc)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.known[desc.Digest] = &guarded{file: info}
	}
}

// check proves a blob in a file, if it is not known that this is the right file.
func (g *guard) check(ctx context.Context, desc ocispec.Descriptor, f *os.File, offset int64) error {
	g.mu.Lock()
	k := g.known[desc.Digest]
	g.mu.Unlock()
	if k == nil {
		return nil // it is being proven
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if sameContent(info, k.file) {
		return k.err
	}
	blob := io.NewSectionReader(f, offset, desc.Size)
	if _, err = io.Copy(io.Discard, oci.VerifyReader(ctx, blob, desc)); ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("blob %s has been changed since it was verified: %w", desc.Digest, err)
	}
	k.file, k.err = info, err
	return err
}

// OpenFile makes a guard an [oci.FileStore].
func (g *guard) OpenFile(ctx context.Context, desc ocispec.Descriptor) (*os.File, int64, error) {
	f, offset, err := g.files.OpenFile(ctx, desc)
	if err != nil {
		return nil, 0, err
	}
	if err := g.check(ctx, desc, f, offset); err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, offset, nil
}

// Fetch checks the files of a layout. An archive sees by itself that it was changed.
func (g *guard) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := g.Store.Fetch(ctx, desc)
	if f, ok := rc.(*os.File); ok && err == nil {
		if err := g.check(ctx, desc, f, 0); err != nil {
			f.Close()
			return nil, err
		}
	}
	return rc, err
}
