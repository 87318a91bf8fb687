package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// stream is an archive that goes where nothing can be taken back. Index.json and all documents come first, so that who
// reads it knows what is to come. What ends early has no end of a tar file, and lacks blobs that its documents name.
type stream struct {
	tar     *tar.Writer
	index   *index
	written map[digest.Digest]int64  // sizes
	kept    map[digest.Digest][]byte // documents
	root    digest.Digest            // of what Copy copies, as soon as it has begun
	done    bool                     // with everything
	err     error                    // makes the rest of no use
}

// CreateStream returns a store that is an archive written to w, for one [Copy]. Close ends the archive if that was
// complete; it does not close w.
func CreateStream(w io.Writer) Store {
	return &stream{tar: tar.NewWriter(w), index: newIndex(), written: map[digest.Digest]int64{}, kept: map[digest.Digest][]byte{}}
}

// begin writes all but the blobs.
func (s *stream) begin(ctx context.Context, g *Graph, root ocispec.Descriptor, tag string) error {
	if s.root != "" {
		return fmt.Errorf("an archive that is a stream takes one copy: %w", errors.ErrUnsupported)
	}
	s.root = root.Digest
	ix, documents, err := g.index(ctx, root, tag)
	if err != nil {
		return err
	}
	s.index = ix
	for _, n := range documents {
		s.kept[n.Descriptor.Digest] = n.Data
	}
	data, err := s.index.bytes()
	if err != nil {
		return err
	}
	s.add(layoutFile, int64(len(layoutVersion)), writeBytes([]byte(layoutVersion)))
	s.add(indexFile, int64(len(data)), writeBytes(data))
	for _, n := range documents {
		s.addBlob(n.Descriptor, writeBytes(n.Data))
	}
	return s.err
}

// add appends a file, if all went well until now.
func (s *stream) add(name string, size int64, content func(io.Writer) error) {
	if s.err == nil {
		s.err = s.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)})
	}
	if s.err == nil {
		s.err = content(s.tar)
	}
	if s.err == nil {
		s.err = s.tar.Flush() // pads
	}
	s.err = local(s.err)
}

func (s *stream) addBlob(desc ocispec.Descriptor, content func(io.Writer) error) {
	if _, twice := s.written[desc.Digest]; twice {
		return
	}
	s.add(blobPath(desc.Digest), desc.Size, content)
	s.written[desc.Digest] = desc.Size
}

// Push is called by Copy alone, which writes an archive one by one.
func (s *stream) Push(ctx context.Context, desc ocispec.Descriptor, r io.Reader) error {
	if s.root == "" {
		return fmt.Errorf("an archive that is a stream takes only what Copy brings: %w", errors.ErrUnsupported)
	}
	if !validDigest(desc.Digest) || desc.Size < 0 {
		return malformed("malformed descriptor %q of %d bytes", desc.Digest, desc.Size)
	}
	s.addBlob(desc, func(w io.Writer) error {
		_, err := copyBlob(ctx, w, r, desc)
		return err
	})
	return s.err
}

// Tag does not change index.json, which is written already.
func (s *stream) Tag(_ context.Context, desc ocispec.Descriptor, target string) error {
	entry, ok, err := s.index.lookup(target)
	if err != nil {
		return err
	}
	if !ok || entry.Digest != desc.Digest {
		return fmt.Errorf("tag %s: %w", target, errors.ErrUnsupported)
	}
	s.done = s.done || desc.Digest == s.root
	return nil
}

func (s *stream) Close() error {
	if s.err != nil || !s.done {
		return nil // what it was, Copy has said
	}
	s.err = os.ErrClosed
	return local(s.tar.Close())
}

// Fetch has the documents, and no blobs.
func (s *stream) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	data, ok := s.kept[desc.Digest]
	if !ok {
		return nil, notIn(s.place(), desc.Digest)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s *stream) blobSize(d digest.Digest) (int64, error) {
	size, ok := s.written[d]
	if !ok {
		return 0, notIn(s.place(), d)
	}
	return size, nil
}

func (s *stream) place() string { return "the archive" }

func (s *stream) Exists(_ context.Context, desc ocispec.Descriptor) (bool, error) {
	size, ok := s.written[desc.Digest]
	return ok && size == desc.Size, nil
}

func (s *stream) Resolve(ctx context.Context, target string) (ocispec.Descriptor, error) {
	return s.index.resolve(ctx, s, target)
}

func (s *stream) Predecessors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	return s.index.predecessors(ctx, s, desc)
}

func (s *stream) Tags(context.Context) iter.Seq2[string, error] { return s.index.tags() }
