package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci/space"
)

// A blobReader reads one blob from beginning to end and knows whether it was the right one.
type blobReader struct {
	rc   io.ReadCloser
	r    io.Reader
	h    hash.Hash
	desc ocispec.Descriptor
	what string // for messages
	n    int64
	v    *Verified
}

func (v *Verified) openBlob(ctx context.Context, desc ocispec.Descriptor) (*blobReader, error) {
	rc, err := v.store.Fetch(ctx, desc)
	if err != nil {
		return nil, named("blob", desc.Digest, err)
	}
	r := io.LimitReader(&reportingReader{rc, v}, desc.Size+1)
	return &blobReader{rc: rc, r: r, h: digest.SHA256.Hash(), desc: desc, what: "blob " + desc.Digest.String(), v: v}, nil
}

// member returns what reads the own layer of a module out of a group's, which has been read up to there: it is what is
// next, and the end that the group has only once.
func (b *blobReader) member(l proofLayer) *blobReader {
	size := l.desc.Size - tarEnd
	m := &blobReader{rc: b, r: withEnd(io.LimitReader(b, size)), h: digest.SHA256.Hash(), desc: l.desc, what: "its part of " + b.what, v: b.v}
	if at, ok := b.rc.(io.ReaderAt); ok {
		m.rc = sectionCloser(io.NewSectionReader(at, l.offset, size), size, b)
	}
	return m
}

func withEnd(r io.Reader) io.Reader { return io.MultiReader(r, bytes.NewReader(make([]byte, tarEnd))) }

// openOwn opens a layer, and of one in a group no more than that.
func (v *Verified) openOwn(ctx context.Context, l proofLayer) (*blobReader, error) {
	b, err := v.openBlob(ctx, l.blob())
	if err != nil || l.group == nil {
		return b, err
	}
	m := b.member(l)
	if s, ok := m.rc.(section); ok {
		m.r = withEnd(s)
		return m, nil
	}
	m.r = withEnd(io.LimitReader(b.r, l.desc.Size-tarEnd)) // what is around it is not hashed
	if _, err := copyAll(ctx, io.Discard, io.LimitReader(b.r, l.offset)); err != nil {
		b.Close()
		return nil, err
	}
	return m, nil
}

// A reportingReader says how far it has come.
type reportingReader struct {
	io.Reader
	v *Verified
}

func (r *reportingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.v.report(Event{Stage: r.v.stage, Bytes: int64(n)})
	return n, err
}

func (b *blobReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.h.Write(p[:n])
	b.n += int64(n)
	return n, err
}

func (b *blobReader) Close() error { return b.rc.Close() }

// finish reads what is left and says whether the whole was what the descriptor says.
func (b *blobReader) finish(ctx context.Context) error {
	if _, err := copyAll(ctx, io.Discard, b); err != nil {
		return err
	}
	if b.n != b.desc.Size {
		if b.n > b.desc.Size {
			return fmt.Errorf("%w: %s is longer than the %d bytes it should have", ErrMismatch, b.what, b.desc.Size)
		}
		return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrMismatch, b.what, b.n, b.desc.Size)
	}
	if got := digest.NewDigest(digest.SHA256, b.h); got != b.desc.Digest {
		return fmt.Errorf("%w: %s has the digest %s", ErrMismatch, b.what, got)
	}
	return nil
}

// blame returns the reason why a blob could not be read: that its bytes are not the right ones,
// if so, else err.
func (b *blobReader) blame(ctx context.Context, err error) error {
	if wrong := b.finish(ctx); wrong != nil {
		return wrong
	}
	return fmt.Errorf("%w: %w", ErrMismatch, err)
}

// keep returns the blob's bytes, to be read anywhere when b has been read to its end: from the blob
// itself, or from a temporary file where the store cannot do that. The caller closes it.
func (b *blobReader) keep() (section, error) {
	if at, ok := b.rc.(io.ReaderAt); ok {
		return sectionCloser(at, b.desc.Size, nil), nil
	}
	s, err := newSpool(b.desc.Size)
	if err != nil {
		return section{}, err
	}
	b.r = io.TeeReader(b.r, visitWriter{s})
	return sectionCloser(s, b.desc.Size, s), nil
}

// A spool is a temporary file that is gone when it is closed.
type spool struct{ *os.File }

// newSpool makes a temporary file for so many bytes, at least.
func newSpool(size int64) (spool, error) {
	if err := space.Check(os.TempDir(), space.Need{Bytes: size, Files: 1, Largest: size}); err != nil {
		return spool{}, err
	}
	f, err := os.CreateTemp("", "goferry-*")
	if err != nil {
		return spool{}, err
	}
	os.Remove(f.Name()) // where the system lets an open file lose its name
	return spool{f}, nil
}

func (s spool) Close() error {
	defer os.Remove(s.Name())
	return s.File.Close()
}

// errVisit marks errors of those who visit a layer's files: a full disk is not the layer's fault.
var errVisit = errors.New("write")

// visitWriter marks the errors of a writer so.
type visitWriter struct{ w io.Writer }

func (v visitWriter) Write(p []byte) (int, error) {
	n, err := v.w.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", errVisit, err)
	}
	return n, err
}
