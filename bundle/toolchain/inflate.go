package toolchain

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

const (
	chunkSize   = 64 << 10
	chunksHeld  = 4         // of one member, inflated before they are asked for
	membersHeld = 16        // read before they are asked for
	streamed    = 256 << 10 // bigger members are inflated while they are read
	maxWorkers  = 8
)

// A stream is the tar of a layer. One goroutine reads the members, several inflate and check
// them, and Read hands them out in order. What is held is bounded by the constants above,
// whatever the layer says: about 8 MiB. A member's bytes are handed out before its end is checked,
// so nothing is proven before io.EOF.
type stream struct {
	members <-chan *member
	cur     *member
	chunk   *chunk
	rest    []byte // of chunk
	size    int64  // handed out
	wg      sync.WaitGroup
}

// A member is being inflated.
type member struct {
	body   io.Reader
	end    int64 // offset in the layer
	chunks chan *chunk
	err    error // valid when chunks is closed
	done   chan struct{}
}

type chunk struct {
	n int
	b [chunkSize]byte
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// newStream reads r until its end, an error, or the end of ctx, which may look like the end
// of r. The caller has to end ctx and wait for s.wg before r belongs to him again.
func newStream(ctx context.Context, r io.Reader) *stream {
	members := make(chan *member, membersHeld)
	work := make(chan *member)
	s := &stream{members: members}
	s.wg.Go(func() {
		defer close(members)
		defer close(work)
		split(ctx, bufio.NewReaderSize(r, outputSize), members, work)
	})
	for range min(runtime.GOMAXPROCS(0), maxWorkers) {
		s.wg.Go(func() {
			z := newInflater()
			for m := range work {
				m.inflate(ctx, z)
			}
		})
	}
	return s
}

// split sends every member to members, which is the order, and to work. The member that Read
// waits for is always the oldest, and so has a worker: they cannot wait for each other.
func split(ctx context.Context, r *bufio.Reader, members, work chan<- *member) {
	for off := int64(0); ; {
		m, size, err := readMember(r, off)
		if err == io.EOF {
			return
		}
		if err != nil {
			m = failed(fmt.Errorf("at byte %d: %w", off, err))
		}
		select {
		case members <- m:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		select {
		case work <- m:
		case <-ctx.Done():
			m.err = ctx.Err()
			close(m.chunks)
			return
		}
		if size > streamed {
			<-m.done // r is m's until then
		}
		off = m.end
	}
}

// failed returns a member that gives nothing but err.
func failed(err error) *member {
	m := &member{chunks: make(chan *chunk), err: err}
	close(m.chunks)
	return m
}

// readMember reads the next member, or lets it be read from r if it is big.
// It returns io.EOF if there is none.
func readMember(r *bufio.Reader, off int64) (m *member, size int64, err error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return nil, 0, err
	}
	if size, err = parseHeader(h[:]); err != nil {
		return nil, 0, err
	}
	m = &member{
		end:    off + headerSize + size,
		chunks: make(chan *chunk, chunksHeld),
		done:   make(chan struct{}),
	}
	if size > streamed {
		m.body = &exactReader{r, size}
		return m, size, nil
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, 0, noEOF(err)
	}
	m.body = bytes.NewReader(b)
	return m, size, nil
}

// inflate sends the content of m to m.chunks.
func (m *member) inflate(ctx context.Context, z *inflater) {
	defer close(m.done)
	defer close(m.chunks)
	if m.err = z.reset(m.body); m.err != nil {
		return
	}
	for {
		c := chunks.Get().(*chunk)
		var err error
		c.n, err = readFull(z, c.b[:])
		select {
		case m.chunks <- c:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			if err != io.EOF {
				m.err = fmt.Errorf("gzip member before byte %d: %w", m.end, err)
			}
			return
		}
	}
}

// readFull reads until p is full or there is an error, which may be io.EOF behind some bytes.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = r.Read(p[n:])
		n += k
	}
	return n, err
}

// Read returns io.EOF only if every member was right.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// next takes the next chunk.
func (s *stream) next() error {
	if s.chunk != nil {
		chunks.Put(s.chunk)
		s.chunk = nil
	}
	if s.cur == nil {
		m, ok := <-s.members
		if !ok {
			return io.EOF
		}
		s.cur = m
	}
	c, ok := <-s.cur.chunks
	if !ok {
		err := s.cur.err
		if err == nil {
			s.cur = nil
		}
		return err
	}
	s.chunk, s.rest = c, c.b[:c.n]
	s.size += int64(c.n)
	if s.size > ratioMin && s.size/maxRatio > s.cur.end || s.size > maxBytes {
		return errors.New("layer inflates to more than a toolchain can have")
	}
	return nil
}

// An exactReader reads n bytes and says io.ErrUnexpectedEOF if there are fewer.
type exactReader struct {
	r io.Reader
	n int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.n)])
	e.n -= int64(n)
	if e.n > 0 {
		err = noEOF(err)
	} else if err == io.EOF {
		err = nil
	}
	return n, err
}
