package oci

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const blobDir = "blobs/sha256"

func blobPath(d digest.Digest) string { return path.Join(blobDir, d.Encoded()) }

// layout is a directory in the OCI image layout. Nothing in it is written before the first Push, Ingest or Tag.
type layout struct {
	dir  string
	root *os.Root

	madeDirs  []string // by this store, the deepest first; removed again if nothing is tagged
	made      bool     // the same for the layout in it, unless keep
	keep      bool     // what was pushed, for the next attempt
	lockFlags int      // os.O_CREATE while it is made

	mu       sync.Mutex
	blobs    *os.Root                   // nil until a blob is opened
	staging  *staging                   // nil until the first write
	parts    map[digest.Digest]string   // files with the beginning of a blob, which an earlier attempt left
	cuts     map[digest.Digest]string   // files with some parts of a blob, out of volumes
	proven   map[digest.Digest]int64    // size of blobs that this store has written or hashed
	unsynced map[digest.Digest]struct{} // of these, the ones that may not be durable
	found    []ocispec.Descriptor       // of these, the ones that were there before staging kept Prune away
	pending  []referrer                 // pushed, and not yet in index.json
	index    *index                     // as read when index.json was indexAt
	indexAt  os.FileInfo
}

func newLayout(dir string) (*layout, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &layout{
		dir: dir, root: root,
		parts: map[digest.Digest]string{}, cuts: map[digest.Digest]string{}, proven: map[digest.Digest]int64{}, unsynced: map[digest.Digest]struct{}{},
	}, nil
}

func openLayout(dir string) (*layout, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() { // to open a pipe waits for somebody who writes into it
		return nil, mark(ErrNotLayout, fmt.Errorf("open %s: not a directory", dir))
	}
	l, err := newLayout(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, mark(ErrNotFound, fmt.Errorf("there is no OCI layout at %s", dir))
		}
		return nil, local(err)
	}
	if err := l.check(); err != nil {
		l.root.Close()
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return l, nil
}

// check refuses a directory that is not a layout, or one of a later kind.
func (l *layout) check() error {
	data, err := l.readFile(layoutFile, maxDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return mark(ErrNotLayout, fmt.Errorf("not an OCI layout: it has no file %s", layoutFile))
	}
	if err != nil {
		return mark(ErrNotLayout, err)
	}
	if err := checkLayoutFile(data); err != nil {
		return err
	}
	_, err = l.readIndex()
	if errors.Is(err, fs.ErrNotExist) {
		return mark(ErrNotLayout, fmt.Errorf("not an OCI layout: it has no %s", indexFile))
	}
	return err
}

func checkLayoutFile(data []byte) error {
	var v ocispec.ImageLayout
	if err := DecodeStrict(data, &v); err != nil {
		return mark(ErrNotLayout, fmt.Errorf("%s: %w", layoutFile, err))
	}
	if !strings.HasPrefix(v.Version, "1.") {
		return mark(ErrNotLayout, fmt.Errorf("%s: layout version is %q, not 1", layoutFile, v.Version))
	}
	return nil
}

// open opens a regular file for reading. Anything else in its place is an error, and never makes it wait.
func (l *layout) open(name string) (*os.File, os.FileInfo, error) {
	root := l.root
	if blob, ok := strings.CutPrefix(name, blobDir+"/"); ok {
		if blobs := l.openBlobs(); blobs != nil {
			root, name = blobs, blob
		}
	}
	before, err := root.Lstat(name)
	if err != nil {
		return nil, nil, cmp.Or(l.checkDirs(), local(err))
	}
	if !before.Mode().IsRegular() {
		return nil, nil, malformed("%s: not a regular file: %s", name, before.Mode().Type())
	}
	f, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, local(err)
	}
	info, err := f.Stat()
	if err == nil && !os.SameFile(before, info) {
		err = malformed("%s: replaced while it was opened", name)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// openBlobs returns the directory of the blobs, which is looked up once: a server opens thousands of blobs in a second.
// It is nil as long as there is none.
func (l *layout) openBlobs() *os.Root {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blobs == nil {
		l.blobs, _ = l.root.OpenRoot(blobDir)
	}
	return l.blobs
}

// checkDirs refuses a layout whose blobs are in another place: a link out of it, or no directory at all.
func (l *layout) checkDirs() error {
	for _, name := range []string{path.Dir(blobDir), blobDir} {
		info, err := l.root.Lstat(name)
		if err == nil && info.Mode().Type() == fs.ModeSymlink {
			info, err = l.root.Stat(name)
			if err != nil {
				return malformed("%s: a link that leads out of the layout, or nowhere", name)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !info.IsDir() {
			return malformed("%s: not a directory", name)
		}
	}
	return nil
}

func (l *layout) readFile(name string, limit int64) ([]byte, error) {
	f, info, err := l.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, malformed("%s: %d bytes, at most %d are read", name, info.Size(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if int64(len(data)) > limit {
		err = malformed("%s: it grows while it is read", name)
	}
	return data, err
}

// readIndex reads index.json, if it is not the one that was read before. Callers do not change it.
func (l *layout) readIndex() (*index, error) {
	info, err := l.root.Lstat(indexFile)
	if err != nil {
		return nil, local(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.indexAt; at != nil && os.SameFile(at, info) && at.ModTime().Equal(info.ModTime()) && at.Size() == info.Size() {
		return l.index, nil
	}
	data, err := l.readFile(indexFile, maxIndex)
	if err != nil {
		return nil, err
	}
	ix, err := parseIndex(data)
	if err != nil {
		return nil, err
	}
	l.index, l.indexAt = ix, info
	return ix, nil
}

// Fetch returns a file, so the reader is an [io.ReaderAt] too.
func (l *layout) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	f, _, err := l.OpenFile(ctx, desc)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Exists hashes the blob the first time: a file of the right name may be what a full disk or a pulled plug left.
func (l *layout) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	if l.isProven(desc) {
		return true, nil
	}
	rc, err := l.Fetch(ctx, desc)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDigest) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer rc.Close()
	_, err = copyBlob(ctx, io.Discard, rc, desc)
	if errors.Is(err, ErrDigest) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: blob %s: %w", l.dir, desc.Digest, err)
	}
	l.prove(desc)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.staging == nil {
		l.found = append(l.found, desc)
	}
	return true, nil
}

// stillThere fails if a blob has gone since Exists found it. It is called under the layout's lock, and with a staging.
func (l *layout) stillThere() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, desc := range l.found {
		if _, err := l.root.Lstat(blobPath(desc.Digest)); err != nil {
			return fmt.Errorf("blob %s was removed meanwhile: run this again: %w", desc.Digest, local(err))
		}
	}
	l.found = nil
	return nil
}

func (l *layout) isProven(desc ocispec.Descriptor) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	size, ok := l.proven[desc.Digest]
	return ok && size == desc.Size
}

func (l *layout) prove(desc ocispec.Descriptor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proven[desc.Digest] = desc.Size
	l.unsynced[desc.Digest] = struct{}{}
}

func (l *layout) blobSize(d digest.Digest) (int64, error) {
	info, err := l.root.Lstat(blobPath(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, notIn(l.dir, d)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", l.dir, cmp.Or(l.checkDirs(), local(err)))
	}
	return info.Size(), nil
}

func notIn(place string, d digest.Digest) error {
	return mark(ErrNotFound, fmt.Errorf("blob %s is not in %s", d, place))
}

func (l *layout) place() string { return l.dir }

func (l *layout) Resolve(ctx context.Context, target string) (ocispec.Descriptor, error) {
	ix, err := l.readIndex()
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %w", l.dir, err)
	}
	return ix.resolve(ctx, l, target)
}

// Predecessors reads every manifest that index.json lists, once for each state of index.json.
func (l *layout) Predecessors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	ix, err := l.readIndex()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.dir, err)
	}
	found, err := ix.predecessors(ctx, l, desc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.dir, err)
	}
	return found, nil
}

func (l *layout) Tags(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ix, err := l.readIndex()
		if err != nil {
			yield("", fmt.Errorf("%s: %w", l.dir, err))
			return
		}
		ix.tags()(yield)
	}
}
