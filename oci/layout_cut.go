package oci

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// cutName is what a temporary file is called that gets a blob in parts, in any order: <number>+<hex of its digest>. It
// has holes where a part is still to come. Which parts are there is not written down: they are hashed.
func (st *staging) cutName(d digest.Digest) string { return st.newName() + "+" + d.Encoded() }

// cutOf is the digest of the blob of which the file has some parts.
func cutOf(name string) (digest.Digest, bool) { return heldFor(name, "+") }

// cutPart is a part of a blob, at its place in it.
type cutPart struct {
	offset, size int64
	digest       digest.Digest
	open         func() (io.ReadCloser, error) // ErrNotFound if it is not there
}

// pushCut writes those parts of a blob that are there. When all are, it is a blob; until then the file waits for the
// others, as long as any part of a blob does. It returns which parts are missing, and which are wrong.
func (l *layout) pushCut(ctx context.Context, desc ocispec.Descriptor, parts []cutPart) (absent, wrong []int, err error) {
	if _, err := l.staged(ctx); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", l.dir, local(err))
	}
	w, err := l.openCut(ctx, desc)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", l.dir, local(err))
	}
	defer w.Discard()
	for i, p := range parts {
		switch err := w.pushPart(p); {
		case errors.Is(err, ErrDigest):
			wrong = append(wrong, i)
		case errors.Is(err, ErrNotFound):
			absent = append(absent, i)
		case err != nil:
			return nil, nil, errors.Join(local(err), w.leaveCut(desc))
		}
	}
	if len(absent)+len(wrong) > 0 {
		return absent, wrong, w.leaveCut(desc)
	}
	if _, err := copyBlob(ctx, io.Discard, io.NewSectionReader(w.file, 0, desc.Size), desc); err != nil {
		return nil, nil, err
	}
	return nil, nil, w.rename(desc)
}

// openCut opens the file that has parts of a blob, or a new one.
func (l *layout) openCut(ctx context.Context, desc ocispec.Descriptor) (*blobWriter, error) {
	w, err := l.openLeft(ctx, l.cuts, desc.Digest, (*staging).cutName)
	if err == nil {
		err = w.file.Truncate(desc.Size)
	}
	return w, err
}

// pushPart writes a part if it is there, unless an earlier run has written it. Else it is not found.
func (w *blobWriter) pushPart(p cutPart) error {
	desc := ocispec.Descriptor{Digest: p.digest, Size: p.size}
	if w.adopted { // a damaged part must not take the place of a good one
		_, err := copyVerified(io.Discard, newVerifier(w.cancelled, io.NewSectionReader(w.file, p.offset, p.size), desc))
		if !errors.Is(err, ErrDigest) {
			return err
		}
	}
	rc, err := p.open()
	if err != nil {
		return err
	}
	defer rc.Close()
	_, err = copyVerified(io.NewOffsetWriter(w.file, p.offset), newVerifier(w.cancelled, rc, desc))
	return err
}

// leaveCut keeps the file for the parts to come.
func (w *blobWriter) leaveCut(desc ocispec.Descriptor) error {
	w.closed = true
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.layout.mu.Lock()
	defer w.layout.mu.Unlock()
	w.layout.cuts[desc.Digest] = w.name
	return local(err)
}
