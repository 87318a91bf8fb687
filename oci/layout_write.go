package oci

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Push writes a blob, unless this store has proven that it is there. A referrer is found after the next Tag.
func (l *layout) Push(ctx context.Context, desc ocispec.Descriptor, r io.Reader) error {
	if !validDigest(desc.Digest) {
		return malformed("malformed digest %q", desc.Digest)
	}
	if isManifest(desc.MediaType) {
		data, err := readAll(ctx, r, desc)
		if err != nil {
			return err
		}
		if ref, ok := referrerOf(desc, data); ok {
			l.mu.Lock()
			l.pending = append(l.pending, ref)
			l.mu.Unlock()
		}
		r = bytes.NewReader(data)
	}
	if l.isProven(desc) {
		return nil
	}
	if s, ok := r.(skipper); ok && desc.Size > minPart {
		return l.pushParts(ctx, desc, r, s)
	}
	w, err := l.ingest(ctx)
	if err != nil {
		return err
	}
	defer w.Discard()
	if _, err := copyBlob(ctx, w.file, r, desc); err != nil {
		return local(err)
	}
	return w.rename(desc)
}

// readAll reads a document that is being pushed.
func readAll(ctx context.Context, r io.Reader, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > maxDocument {
		return nil, malformed("%s: a document of %d bytes, at most %d are written", desc.Digest, desc.Size, maxDocument)
	}
	var buf bytes.Buffer
	_, err := copyBlob(ctx, &buf, r, desc)
	return buf.Bytes(), err
}

// Ingest returns a writer for a blob whose digest is not known yet.
func (l *layout) Ingest(ctx context.Context) (BlobWriter, error) { return l.ingest(ctx) }

func (l *layout) ingest(ctx context.Context) (*blobWriter, error) {
	st, err := l.staged(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.dir, local(err))
	}
	f, name, err := st.create()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.dir, err)
	}
	return &blobWriter{layout: l, cancelled: ctx.Err, file: f, name: name, hash: sha256.New()}, nil
}

// staged is l.staging, made on the first write.
func (l *layout) staged(ctx context.Context) (st *staging, err error) {
	l.mu.Lock()
	st = l.staging
	l.mu.Unlock()
	if st != nil {
		return st, nil
	}
	err = l.stage(ctx, func(*os.File) error {
		st = l.staging
		return l.makeDirs()
	})
	return st, err
}

func (l *layout) makeDirs() error {
	if err := l.checkDirs(); err != nil {
		return err
	}
	return l.root.MkdirAll(blobDir, 0o755)
}

type blobWriter struct {
	layout    *layout
	cancelled func() error // by the context of Ingest
	file      *os.File
	name      string
	hash      hash.Hash
	size      int64
	adopted   bool // the file, of an earlier attempt, with parts of the blob
	closed    bool
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if err := w.cancelled(); err != nil {
		return 0, err
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	return n, local(err)
}

func (w *blobWriter) ReadAt(p []byte, off int64) (int, error) { return w.file.ReadAt(p, off) }

func (w *blobWriter) Digest() digest.Digest { return hexDigest(w.hash) }

func (w *blobWriter) Commit(mediaType string) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: w.Digest(), Size: w.size}
	if w.layout.isProven(desc) {
		w.Discard()
		return desc, nil
	}
	return desc, w.rename(desc)
}

func (w *blobWriter) rename(desc ocispec.Descriptor) error {
	w.closed = true
	err := w.file.Close()
	if err == nil {
		err = w.layout.put(w.name, desc.Digest)
	}
	if err != nil {
		w.layout.root.Remove(w.name)
		return fmt.Errorf("%s: blob %s: %w", w.layout.dir, desc.Digest, local(err))
	}
	w.layout.prove(desc)
	return nil
}

// put gives a temporary file the name of its blob. What has that name is replaced, even an empty directory.
func (l *layout) put(temp string, d digest.Digest) error {
	name := blobPath(d)
	err := l.root.Rename(temp, name)
	if err == nil {
		return nil
	}
	if info, statErr := l.root.Lstat(name); statErr != nil || !info.IsDir() {
		return cmp.Or(l.checkDirs(), err)
	}
	if l.root.Remove(name) != nil {
		return malformed("a directory that is not empty has its name")
	}
	return l.root.Rename(temp, name)
}

func (w *blobWriter) Discard() {
	if w.closed {
		return
	}
	w.closed = true
	w.file.Close()
	w.layout.root.Remove(w.name)
}

// Tag makes all that was pushed durable, and then changes index.json under the layout's lock.
func (l *layout) Tag(ctx context.Context, desc ocispec.Descriptor, target string) error {
	if target != string(desc.Digest) && !tagPattern.MatchString(target) {
		return mark(ErrUsage, fmt.Errorf("malformed tag %q", target))
	}
	ok, err := l.Exists(ctx, desc)
	if err != nil {
		return err
	}
	if !ok {
		return mark(ErrNotFound, fmt.Errorf("%s: tag %s: manifest %s: not found", l.dir, target, desc.Digest))
	}
	if err := l.sync(); err != nil {
		return fmt.Errorf("%s: %w", l.dir, err)
	}
	err = l.stage(ctx, func(*os.File) error { return l.updateIndex(ctx, desc, target) })
	if err != nil {
		return fmt.Errorf("%s: tag %s: %w", l.dir, target, local(err))
	}
	return nil
}

// updateIndex is called under the layout's lock.
func (l *layout) updateIndex(ctx context.Context, desc ocispec.Descriptor, target string) error {
	if err := l.stillThere(); err != nil {
		return err
	}
	before, err := l.readFile(indexFile, maxIndex)
	if errors.Is(err, ErrNotFound) {
		before, err = newIndex().bytes()
	}
	if err != nil {
		return err
	}
	ix, err := parseIndex(before)
	if err != nil {
		return err
	}
	ix.set(desc, target)
	l.mu.Lock()
	pending := slices.Clone(l.pending)
	l.mu.Unlock()
	err = ix.addReferrers(ctx, l, pending, func(d ocispec.Descriptor, data []byte) error {
		return l.Push(ctx, d, bytes.NewReader(data))
	})
	if err != nil {
		return err
	}
	if err := l.sync(); err != nil {
		return err
	}
	after, err := ix.bytes()
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		if err := l.staging.replace(indexFile, after); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.pending = l.pending[len(pending):]
	l.mu.Unlock()
	return nil
}

// sync makes the blobs of this store durable, also those that were there: who wrote them may not have.
func (l *layout) sync() error {
	l.mu.Lock()
	unsynced := l.unsynced
	l.unsynced = map[digest.Digest]struct{}{}
	l.mu.Unlock()
	if len(unsynced) == 0 {
		return nil
	}
	err := l.syncBlobs(unsynced)
	if err != nil {
		l.mu.Lock()
		for d := range unsynced {
			l.unsynced[d] = struct{}{}
		}
		l.mu.Unlock()
	}
	return local(err)
}

func (l *layout) syncBlobs(unsynced map[digest.Digest]struct{}) error {
	d, err := l.root.Open(blobDir)
	if err != nil {
		return err
	}
	defer d.Close()
	if done, err := syncAll(d); done || err != nil {
		return err
	}
	for digest := range unsynced {
		f, err := l.root.OpenFile(blobPath(digest), syncFlags, 0)
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil {
			return err
		}
	}
	return syncDir(l.root, blobDir)
}
