package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// buffers are larger than io.Copy's 32 KiB: fewer system calls, and sticks and network file systems like it.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// copyBlob copies exactly the blob that desc names, or fails with [ErrDigest].
// What dst has got by then is not to be used.
func copyBlob(ctx context.Context, dst io.Writer, src io.Reader, desc ocispec.Descriptor) (int64, error) {
	return copyVerified(dst, newVerifier(ctx.Err, src, desc))
}

func copyVerified(dst io.Writer, src *verifier) (int64, error) {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	// The struct hides ReadFrom, which would bring a small buffer of its own.
	return io.CopyBuffer(struct{ io.Writer }{dst}, src, buf[:])
}

// verifier reads a blob and hashes it on the way. It holds the last bytes back if they do not make the blob whole,
// so that whoever gets all the bytes has got the right ones.
type verifier struct {
	cancelled func() error // the Err of a context
	src       io.Reader
	desc      ocispec.Descriptor
	hash      hash.Hash
	left      int64
	err       error
}

func newVerifier(cancelled func() error, src io.Reader, desc ocispec.Descriptor) *verifier {
	return &verifier{cancelled: cancelled, src: src, desc: desc, hash: sha256.New(), left: desc.Size}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err == nil {
		v.err = v.cancelled()
	}
	if v.err != nil {
		return 0, v.err
	}
	// One byte more than is left, to see that nothing follows.
	n, err := v.src.Read(p[:min(int64(len(p)), v.left+1)])
	if int64(n) > v.left {
		v.err = malformed("blob %s is longer than its %d bytes", v.desc.Digest, v.desc.Size)
		return 0, v.err
	}
	v.hash.Write(p[:n])
	v.left -= int64(n)
	switch {
	case err == io.EOF && v.left > 0:
		v.err = malformed("blob %s is cut: %d of %d bytes are missing", v.desc.Digest, v.left, v.desc.Size)
	case err != nil && err != io.EOF:
		v.err = err
	case v.left == 0 && (n > 0 || err == io.EOF):
		if got := hexDigest(v.hash); got != v.desc.Digest {
			v.err = malformed("blob %s: content has digest %s", v.desc.Digest, got)
			return 0, v.err
		}
		v.err = v.end(err)
	}
	if n > 0 && v.err == io.EOF {
		return n, nil
	}
	return n, v.err
}

// end is io.EOF if src ends here too.
func (v *verifier) end(err error) error {
	var next [1]byte
	for err == nil {
		var n int
		if n, err = v.src.Read(next[:]); n > 0 {
			return malformed("blob %s is longer than its %d bytes", v.desc.Digest, v.desc.Size)
		}
	}
	return err
}

func hexDigest(h hash.Hash) digest.Digest {
	return digest.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

// VerifyReader reads src, which is to be the blob. It hands out the last bytes only if they make the right blob of it,
// and is [ErrDigest] else.
func VerifyReader(ctx context.Context, src io.Reader, desc ocispec.Descriptor) io.Reader {
	return newVerifier(ctx.Err, src, desc)
}
