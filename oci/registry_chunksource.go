package oci

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// chunkSource hashes a blob from its start on while parts of it are read, some of them twice. One that is read by a
// connection which is being given up does not count.
type chunkSource struct {
	src  io.ReaderAt
	desc ocispec.Descriptor

	mu     sync.Mutex
	hash   hash.Hash
	hashed int64
	err    error // of the source, not of the connection
}

func newChunkSource(src io.ReaderAt, desc ocispec.Descriptor) *chunkSource {
	return &chunkSource{src: src, desc: desc, hash: sha256.New()}
}

func (s *chunkSource) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.src.ReadAt(p, off)
	end := off + int64(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if off <= s.hashed && s.hashed < end {
		s.hash.Write(p[s.hashed-off : n])
		s.hashed = end
	}
	if err != nil && (err != io.EOF || end < s.desc.Size) {
		s.err = err
	}
	return n, err
}

func (s *chunkSource) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == io.EOF {
		return malformed("blob %s is cut: it has less than its %d bytes", s.desc.Digest, s.desc.Size)
	}
	return s.err
}

// hashTo hashes up to end what no chunk was made of, because the registry has it.
func (s *chunkSource) hashTo(ctx context.Context, end int64) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	for {
		s.mu.Lock()
		at := s.hashed
		s.mu.Unlock()
		if err := ctx.Err(); err != nil || at >= end {
			return err
		}
		s.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
		if err := s.failure(); err != nil {
			return err
		}
	}
}

// verify compares what was read with the blob's digest.
func (s *chunkSource) verify(ctx context.Context) error {
	if err := s.hashTo(ctx, s.desc.Size); err != nil {
		return err
	}
	if n, _ := s.src.ReadAt(make([]byte, 1), s.desc.Size); n > 0 {
		return malformed("blob %s is longer than its %d bytes", s.desc.Digest, s.desc.Size)
	}
	if got := hexDigest(s.hash); got != s.desc.Digest {
		return malformed("blob %s: content has digest %s", s.desc.Digest, got)
	}
	return nil
}
