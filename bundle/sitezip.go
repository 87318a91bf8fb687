package bundle

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// fileRange is a part of a file that is for one reader, so that it has a position of its own. It is
// what the net package looks for to let the kernel send it, if not more than the part is asked for.
type fileRange struct {
	f           *os.File
	start, size int64
	close       io.Closer // f, or what it is a part of
}

func newFileRange(f *os.File, start, size int64) (*fileRange, error) {
	r := &fileRange{f, start, size, f}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// left is how much there is from where the file is.
func (r *fileRange) left() (int64, error) {
	at, err := r.f.Seek(0, io.SeekCurrent)
	return max(0, r.start+r.size-at), err
}

func (r *fileRange) Read(p []byte) (int, error) {
	left, err := r.left()
	if err != nil {
		return 0, err
	}
	if left == 0 {
		return 0, io.EOF
	}
	return r.f.Read(p[:min(left, int64(len(p)))])
}

// WriteTo keeps io.Copy from copying more than the part.
func (r *fileRange) WriteTo(w io.Writer) (int64, error) {
	left, err := r.left()
	if err != nil || left == 0 {
		return 0, err
	}
	return io.CopyN(w, struct {
		io.Reader
		syscall.Conn
	}{r, r}, left)
}

func (r *fileRange) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		offset += r.start
	case io.SeekEnd:
		offset, whence = offset+r.start+r.size, io.SeekStart
	}
	at, err := r.f.Seek(offset, whence)
	if err == nil && at < r.start {
		err = os.ErrInvalid
	}
	return at - r.start, err
}

func (r *fileRange) SyscallConn() (syscall.RawConn, error) { return r.f.SyscallConn() }

func (r *fileRange) Close() error { return r.close.Close() }

// zipStream is a zip that comes as part of a layer, from a place where it can be read only once.
type zipStream struct {
	blob   io.ReadCloser // the layer
	skip   int64         // bytes of it before the zip
	size   int64         // of the zip
	finish func() error  // reads what is left of the layer, and says whether it was the right one
	whole  func() (io.ReadSeekCloser, error)

	sent   int64             // bytes of the zip that were read from the layer
	pos    int64             // where the next Read begins
	stored io.ReadSeekCloser // from the first Read that does not follow the one before
}

func (z *zipStream) Read(p []byte) (int, error) {
	if z.stored == nil && z.pos != z.sent {
		stored, err := z.whole()
		if err != nil {
			return 0, err
		}
		if _, err := stored.Seek(z.pos, io.SeekStart); err != nil {
			stored.Close()
			return 0, err
		}
		z.stored = stored
	}
	if z.stored != nil {
		return z.stored.Read(p)
	}
	n, err := z.next(p)
	z.sent += int64(n)
	z.pos = z.sent
	return n, err
}

// next reads the next bytes; the last ones after the layer was proven.
func (z *zipStream) next(p []byte) (int, error) {
	left := z.size - z.sent
	if left == 0 {
		return 0, io.EOF
	}
	if _, err := io.CopyN(io.Discard, z.blob, z.skip); err != nil {
		return 0, unexpected(err)
	}
	z.skip = 0
	if int64(len(p)) < left {
		n, err := z.blob.Read(p)
		return n, unexpected(err)
	}
	if _, err := io.ReadFull(z.blob, p[:left]); err != nil {
		return 0, unexpected(err)
	}
	if err := z.finish(); err != nil {
		return 0, err
	}
	return int(left), nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (z *zipStream) Seek(offset int64, whence int) (int64, error) {
	if z.stored != nil {
		return z.stored.Seek(offset, whence)
	}
	switch whence {
	case io.SeekCurrent:
		offset += z.pos
	case io.SeekEnd:
		offset += z.size
	}
	if offset < 0 {
		return z.pos, os.ErrInvalid
	}
	z.pos = offset
	return z.pos, nil
}

func (z *zipStream) Close() error {
	err := z.blob.Close()
	if z.stored != nil {
		err = errors.Join(err, z.stored.Close())
	}
	return err
}

// spool fetches a layer into a temporary file, proves it, and returns its zip.
func (l siteLayer) spool(ctx context.Context, c moduleContent) (io.ReadSeekCloser, error) {
	b, err := l.v.openOwn(ctx, l.proofLayer)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	f, err := newSpool(l.desc.Size)
	if err != nil {
		return nil, err
	}
	r := &fileRange{f.File, c.zip, c.zipEnd - c.zip, f}
	_, err = copyAll(ctx, f, b)
	if err == nil {
		err = b.finish(ctx)
	}
	if err == nil {
		_, err = r.Seek(0, io.SeekStart)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}
