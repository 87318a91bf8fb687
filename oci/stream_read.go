package oci

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

const (
	maxStreamBlobs = 1 << 18 // as many as maxGraphBytes of documents can name
	inMemory       = 1 << 20 // a blob up to this size is pushed while the next are read
)

// CopyStream is [Copy] out of an archive that r brings as one stream, of which nothing is stored but at dst. Each blob
// is pushed as it comes, and the documents, which are kept in memory, when all has come. Where the documents came
// first, as [CreateStream] writes them, a blob that is not needed is not pushed. What has arrived when the stream
// ends early is found at dst by the next attempt.
func CopyStream(ctx context.Context, r io.Reader, srcTarget string, dst Store, dstTag string, opts CopyOptions) (ocispec.Descriptor, error) {
	if dstTag != "" && !tagPattern.MatchString(dstTag) {
		return ocispec.Descriptor{}, mark(ErrUsage, fmt.Errorf("malformed tag %q", dstTag))
	}
	in := &incoming{
		target: srcTarget, dstTag: dstTag, copier: &copier{dst: dst, opts: opts},
		documents: map[digest.Digest][]byte{}, arrived: map[digest.Digest]int64{},
	}
	err := in.read(ctx, r)
	if err == nil {
		err = in.finish(ctx)
	}
	if l, ok := dst.(*layout); ok && err != nil {
		l.keep = true
	}
	return in.root, err
}

// incoming is what has come of an archive. It is a store of its documents.
type incoming struct {
	target, dstTag string
	copier         *copier

	begun     bool // by oci-layout
	index     *index
	documents map[digest.Digest][]byte // what may be one: it begins with a brace
	size      int64                    // of documents
	arrived   map[digest.Digest]int64  // sizes of all that has come

	planned bool // that was tried
	root    ocispec.Descriptor
	graph   *Graph                               // nil as long as the documents have not all come
	needed  map[digest.Digest]ocispec.Descriptor // of graph
}

// read takes all that comes.
func (in *incoming) read(ctx context.Context, r io.Reader) error {
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(in.copier.concurrency())
	err := in.readEntries(groupCtx, g, bufio.NewReaderSize(r, inMemory))
	if pushErr := g.Wait(); pushErr != nil {
		return pushErr // it has ended the reading
	}
	return errors.Join(ctx.Err(), err)
}

func (in *incoming) readEntries(ctx context.Context, g *errgroup.Group, r *bufio.Reader) error {
	if magic, _ := r.Peek(4); isCompressed(magic) {
		return mark(ErrNotLayout, fmt.Errorf("the archive is compressed; decompress it on its way"))
	}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return cutStream(err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if !isLayoutName(name) {
			continue
		}
		if h.Typeflag != tar.TypeReg || isSparse(h) {
			return malformed("%s: not a plain file in the archive", name)
		}
		if err := in.entry(ctx, g, name, h.Size, tr); err != nil {
			return cutStream(err)
		}
	}
}

// cutStream marks what the reader of a tar file says of one that is cut. What goes wrong elsewhere stays what it is.
func cutStream(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return mark(ErrDigest, fmt.Errorf("the archive is cut or malformed: %w", err))
	}
	return err
}

// entry takes a file of the layout.
func (in *incoming) entry(ctx context.Context, g *errgroup.Group, name string, size int64, r io.Reader) error {
	switch {
	case name == layoutFile && !in.begun:
		data, err := readFile(r, name, size, maxDocument)
		if err != nil {
			return err
		}
		in.begun = true
		return checkLayoutFile(data)
	case name == indexFile && in.index == nil:
		data, err := readFile(r, name, size, maxIndex)
		if err != nil {
			return err
		}
		in.index, err = parseIndex(data)
		return err
	case name == layoutFile, name == indexFile:
		return malformed("%s: twice in the archive", name)
	}
	d := digest.Digest("sha256:" + strings.TrimPrefix(name, blobDir+"/"))
	if _, twice := in.arrived[d]; twice {
		return malformed("%s: twice in the archive", name)
	}
	if len(in.arrived) == maxStreamBlobs {
		return malformed("more than %d blobs in the archive", maxStreamBlobs)
	}
	return in.blob(ctx, g, ocispec.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: size}, r)
}

func readFile(r io.Reader, name string, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, malformed("%s: %d bytes, at most %d are read", name, size, limit)
	}
	return io.ReadAll(r)
}

// blob keeps what may be a document, and pushes the rest unless it is known not to be needed.
func (in *incoming) blob(ctx context.Context, g *errgroup.Group, desc ocispec.Descriptor, r io.Reader) error {
	if in.graph == nil && desc.Size > 0 && desc.Size <= maxDocument {
		var first [1]byte
		if _, err := io.ReadFull(r, first[:]); err != nil {
			return err
		}
		r = io.MultiReader(bytes.NewReader(first[:]), r)
		if first[0] == '{' {
			return in.keep(ctx, desc, r)
		}
	}
	if err := in.plan(ctx); err != nil {
		return err
	}
	in.arrived[desc.Digest] = desc.Size
	if in.graph != nil {
		known, ok := in.needed[desc.Digest]
		if !ok {
			return nil
		}
		if known.Size != desc.Size {
			return malformed("blob %s has %d bytes, not %d", desc.Digest, desc.Size, known.Size)
		}
		desc = known
	}
	if desc.Size > inMemory || in.copier.concurrency() == 1 {
		return in.push(ctx, desc, io.NopCloser(r))
	}
	data, err := readAll(ctx, r, desc)
	if err != nil {
		return err
	}
	g.Go(func() error { return in.push(ctx, desc, inMemoryBlob(data)) })
	return ctx.Err()
}

func inMemoryBlob(data []byte) io.ReadCloser {
	return section{io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data)))}
}

func (in *incoming) keep(ctx context.Context, desc ocispec.Descriptor, r io.Reader) error {
	if in.size += desc.Size; in.size > maxGraphBytes {
		return malformed("more than %d bytes of what may be manifests in the archive", maxGraphBytes)
	}
	data, err := readAll(ctx, r, desc)
	in.documents[desc.Digest], in.arrived[desc.Digest] = data, desc.Size
	return err
}

func (in *incoming) push(ctx context.Context, desc ocispec.Descriptor, rc io.ReadCloser) error {
	ok, err := in.copier.has(ctx, desc)
	if err != nil || ok {
		in.copier.skipped(desc, err)
		return err
	}
	return in.copier.copyBlob(ctx, Blob{desc, func(context.Context) (io.ReadCloser, error) { return rc, nil }})
}

// plan finds out what is needed, if index.json and all that it lists came before the first blob that is no document.
func (in *incoming) plan(ctx context.Context) error {
	if in.planned || in.index == nil {
		return nil
	}
	in.planned = true
	for _, e := range in.index.Manifests {
		if in.documents[e.Digest] == nil {
			return nil
		}
	}
	err := in.walk(ctx)
	if errors.Is(err, ErrNotFound) && in.root.Digest != "" {
		return nil // a child of what index.json lists is still to come
	}
	return err
}

// walk settles what is copied, by the documents that are there.
func (in *incoming) walk(ctx context.Context) error {
	root, err := in.index.resolve(ctx, in, in.target)
	if err != nil {
		return err
	}
	in.root = root
	g, err := Walk(ctx, in, root)
	if err != nil {
		return err
	}
	in.graph, in.needed = g, map[digest.Digest]ocispec.Descriptor{}
	for _, b := range g.Blobs {
		in.needed[b.Digest] = b
	}
	return nil
}

// finish pushes what was kept, and tags it.
func (in *incoming) finish(ctx context.Context) error {
	switch {
	case len(in.arrived) == 0 && !in.begun && in.index == nil:
		return mark(ErrNotLayout, fmt.Errorf("no archive of an OCI layout came"))
	case in.index == nil:
		return malformed("the archive ends without %s: it is cut, or none of an OCI layout", indexFile)
	case !in.begun:
		return mark(ErrNotLayout, fmt.Errorf("not an archive of an OCI layout: it has no %s", layoutFile))
	}
	if in.graph == nil {
		if err := in.walk(ctx); err != nil {
			return err
		}
	}
	rest, err := in.rest()
	if err != nil {
		return err
	}
	return in.copier.copyAll(ctx, rest, in.graph, in.root, in.dstTag)
}

// rest are the blobs that are needed and were not pushed: those that might have been documents, and what did not come,
// which dst has to have.
func (in *incoming) rest() (rest []Blob, err error) {
	for _, desc := range in.graph.Blobs {
		size, arrived := in.arrived[desc.Digest]
		data, kept := in.documents[desc.Digest]
		switch {
		case arrived && size != desc.Size:
			return nil, malformed("blob %s has %d bytes, not %d", desc.Digest, size, desc.Size)
		case arrived && !kept:
			continue
		case !arrived:
			in.copier.lacking = append(in.copier.lacking, desc)
		}
		rest = append(rest, Blob{desc, func(context.Context) (io.ReadCloser, error) { return inMemoryBlob(data), nil }})
	}
	return rest, nil
}
