package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// minPart is what is worth going on with: less is as quickly fetched again.
	minPart = 1 << 20

	// partAge is how long the part of a blob waits for somebody who goes on with it.
	partAge = 7 * 24 * time.Hour
)

// skipper is the reader of a blob that can go on in the middle of it.
type skipper interface {
	skipTo(offset int64) error // the next Read begins there
}

// partName is what a temporary file is called that is to be found again: <number>-<hex of the blob's digest>.
func (st *staging) partName(d digest.Digest) string { return st.newName() + "-" + d.Encoded() }

// partOf is the digest of the blob of which the file has the beginning.
func partOf(name string) (digest.Digest, bool) { return heldFor(name, "-") }

func heldFor(name, separator string) (digest.Digest, bool) {
	number, hex, _ := strings.Cut(name, separator)
	d := digest.Digest("sha256:" + hex)
	return d, isNumber(number) && validDigest(d)
}

// adoptParts takes the parts of blobs out of an abandoned staging directory into l.staging. It is called under l.mu.
func (l *layout) adoptParts(dir string) {
	entries, err := fs.ReadDir(l.root.FS(), dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		parts, nameFor := l.parts, l.staging.partName
		d, ok := partOf(e.Name())
		if !ok {
			parts, nameFor = l.cuts, l.staging.cutName
			d, ok = cutOf(e.Name())
		}
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() || info.Size() < minPart || time.Since(info.ModTime()) > partAge {
			continue
		}
		if _, err := l.root.Lstat(blobPath(d)); err == nil || parts[d] != "" {
			continue
		}
		name := nameFor(d)
		if l.root.Rename(path.Join(dir, e.Name()), name) == nil {
			parts[d] = name
		}
	}
}

func (l *layout) hasPart(desc ocispec.Descriptor) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parts[desc.Digest] != ""
}

// pushParts writes a blob whose source can go on in the middle. What it does not finish stays for the next attempt.
func (l *layout) pushParts(ctx context.Context, desc ocispec.Descriptor, r io.Reader, s skipper) error {
	if _, err := l.staged(ctx); err != nil {
		return fmt.Errorf("%s: %w", l.dir, local(err))
	}
	w, err := l.openPart(ctx, desc)
	if err != nil {
		return fmt.Errorf("%s: %w", l.dir, err)
	}
	known, err := w.copyRest(ctx, r, s, desc)
	if known > 0 && errors.Is(err, ErrDigest) {
		// The part was not what it seemed: the machine may have lost power.
		if err = errors.Join(w.file.Truncate(0), s.skipTo(0)); err == nil {
			_, err = w.copyRest(ctx, r, s, desc)
		}
	}
	if err == nil {
		return w.rename(desc)
	}
	if errors.Is(err, ErrNetwork) || ctx.Err() != nil {
		w.leave(desc)
	}
	w.Discard()
	return local(err)
}

// openPart opens the part that there is of a blob, or an empty one.
func (l *layout) openPart(ctx context.Context, desc ocispec.Descriptor) (*blobWriter, error) {
	return l.openLeft(ctx, l.parts, desc.Digest, (*staging).partName)
}

// openLeft takes the file of a blob out of those that are left of an earlier attempt, or makes one with that name.
func (l *layout) openLeft(ctx context.Context, left map[digest.Digest]string, d digest.Digest, fresh func(*staging, digest.Digest) string) (*blobWriter, error) {
	l.mu.Lock()
	name, st := left[d], l.staging
	delete(left, d)
	l.mu.Unlock()
	w := &blobWriter{layout: l, cancelled: ctx.Err, name: name}
	var err error
	if name != "" {
		w.file, err = l.root.OpenFile(name, os.O_RDWR|openFlags, 0)
	}
	if w.adopted = name != "" && err == nil; !w.adopted {
		w.file, w.name, err = st.createNamed(fresh(st, d))
	}
	return w, err
}

// copyRest hashes what the file has, and copies what follows on it. The last byte is always asked for.
func (w *blobWriter) copyRest(ctx context.Context, r io.Reader, s skipper, desc ocispec.Descriptor) (known int64, err error) {
	info, err := w.file.Stat()
	if err != nil {
		return 0, err
	}
	v := newVerifier(ctx.Err, r, desc)
	known = min(info.Size(), desc.Size-1)
	if known > 0 {
		if err := s.skipTo(known); err != nil {
			return 0, err
		}
	}
	if err := w.file.Truncate(known); err != nil {
		return 0, err
	}
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := io.CopyN(v.hash, w.file, known); err != nil {
		return 0, err
	}
	v.left -= known
	_, err = copyVerified(w.file, v)
	return known, err
}

// leave keeps the part for the next attempt, in this process or another.
func (w *blobWriter) leave(desc ocispec.Descriptor) {
	info, err := w.file.Stat()
	if err != nil || info.Size() < minPart {
		return
	}
	w.closed = true
	w.file.Close()
	w.layout.mu.Lock()
	defer w.layout.mu.Unlock()
	w.layout.parts[desc.Digest] = w.name
}
