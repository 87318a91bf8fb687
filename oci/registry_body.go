package oci

import (
	"context"
	"io"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// upload is the body of a blob's PUT. It verifies what it reads, and can be read again from the start if
// the source is an [io.ReaderAt], so that a request can be repeated after a 401, a 500 or a lost connection.
type upload struct {
	cancelled func() error
	src       io.Reader
	desc      ocispec.Descriptor

	mu   sync.Mutex
	read bool
	err  error // of the source, not of the connection
}

func newUpload(ctx context.Context, src io.Reader, desc ocispec.Descriptor) *upload {
	return &upload{cancelled: ctx.Err, src: src, desc: desc}
}

func (u *upload) rewindable() bool {
	_, ok := u.src.(io.ReaderAt)
	return ok
}

// started reports whether anything was read.
func (u *upload) started() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.read
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// body is one reading of the upload. An earlier one may still be read by a connection that is being given up.
func (u *upload) body() io.ReadCloser {
	src := u.src
	if at, ok := src.(io.ReaderAt); ok {
		// One byte more, to see that nothing follows.
		src = io.NewSectionReader(at, 0, u.desc.Size+1)
	}
	return &uploadBody{u, newVerifier(u.cancelled, src, u.desc)}
}

// Read and Close make an upload an [io.ReadCloser], which oras-go hands through; the client puts body in its place.
func (u *upload) Read([]byte) (int, error) { panic("upload is read without its client") }
func (u *upload) Close() error             { return nil }

type uploadBody struct {
	upload *upload
	*verifier
}

func (b *uploadBody) Read(p []byte) (int, error) {
	n, err := b.verifier.Read(p)
	b.upload.mu.Lock()
	defer b.upload.mu.Unlock()
	b.upload.read = true
	if err != nil && err != io.EOF {
		b.upload.err = err
	}
	return n, err
}

// Close leaves the source to the caller of Push.
func (b *uploadBody) Close() error { return nil }
