package bundle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"

	"github.com/opencontainers/go-digest"
)

// groupSource makes one layer of several modules' own.
func groupSource(modules []source) source {
	if len(modules) == 1 {
		return modules[0]
	}
	s := source{name: fmt.Sprintf("%s (+%d)", modules[0].name, len(modules)-1), mediaType: mediaTypeTar, size: tarEnd, modules: modules}
	for _, m := range modules {
		s.size += m.size - tarEnd
	}
	s.open = func(ctx context.Context) (io.ReadCloser, error) {
		r := &groupReader{ctx: ctx, modules: modules}
		return sectionCloser(r, s.size, r), nil
	}
	return s
}

// own returns the layers that a source is made of: of a group those of its modules, else itself.
func (s source) own() []source {
	if s.modules != nil {
		return s.modules
	}
	return []source{s}
}

// A groupReader is the bytes of a group. It has one module open at a time.
type groupReader struct {
	ctx     context.Context
	modules []source

	mu   sync.Mutex
	is   int // which module's own layer is open
	open io.ReadCloser
}

func (r *groupReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, os.ErrInvalid
	}
	start := int64(0)
	for i, m := range r.modules {
		size := m.size - tarEnd
		if at := off + int64(n) - start; at < size && n < len(p) {
			want := min(int64(len(p)-n), size-at)
			got, err := r.readModule(i, p[n:n+int(want)], at)
			if n += got; err != nil {
				return n, err
			}
		}
		start += size
	}
	for ; n < len(p); n++ {
		if off+int64(n) >= start+tarEnd {
			return n, io.EOF
		}
		p[n] = 0
	}
	return n, nil
}

// readModule fills p with bytes of a module's own layer.
func (r *groupReader) readModule(i int, p []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil || r.is != i {
		r.closeModule()
		open, err := r.modules[i].open(r.ctx)
		if err != nil {
			return 0, err
		}
		r.open, r.is = open, i
	}
	n, err := r.open.(io.ReaderAt).ReadAt(p, off)
	if n == len(p) {
		err = nil
	}
	return n, err
}

func (r *groupReader) closeModule() error {
	if r.open == nil {
		return nil
	}
	defer func() { r.open = nil }()
	return r.open.Close()
}

func (r *groupReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closeModule()
}

// hashOwn returns what is to be written in place of w, so that own gives the digests of the source's own layers when all
// is written. It is told that of the whole.
func (s source) hashOwn(w io.Writer) (to io.Writer, own func(whole digest.Digest) []digest.Digest) {
	if s.modules == nil {
		return w, func(whole digest.Digest) []digest.Digest { return []digest.Digest{whole} }
	}
	h := newGroupHash(s.modules)
	return io.MultiWriter(w, h), func(digest.Digest) []digest.Digest { return h.digests }
}

// A groupHash learns the digests of the modules' own layers from the bytes of the group that they are put together in.
type groupHash struct {
	modules []source
	digests []digest.Digest
	h       hash.Hash
	left    int64 // of the module whose bytes come next
}

func newGroupHash(modules []source) *groupHash {
	return &groupHash{modules: modules, h: sha256.New(), left: modules[0].size - tarEnd}
}

func (g *groupHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(g.digests) < len(g.modules) && len(p) > 0 {
		part := p[:min(g.left, int64(len(p)))]
		g.h.Write(part)
		p = p[len(part):]
		if g.left -= int64(len(part)); g.left > 0 {
			continue
		}
		g.h.Write(make([]byte, tarEnd))
		g.digests = append(g.digests, digest.NewDigest(digest.SHA256, g.h))
		g.h.Reset()
		if next := len(g.digests); next < len(g.modules) {
			g.left = g.modules[next].size - tarEnd
		}
	}
	return n, nil
}
