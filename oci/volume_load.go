package oci

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// loader copies what is on volumes.
type loader struct {
	*copier
	src *volumes

	mu       sync.Mutex
	found    map[digest.Digest]bool // at dst, by name and size only; nil when these were proven
	problems VolumesError
}

// copyVolumes is Copy from volumes that need not all be there. Blobs are kept at dst, which is tagged when it has them
// all.
func copyVolumes(ctx context.Context, src *volumes, root ocispec.Descriptor, g *Graph, dst Store, tag string, opts CopyOptions) error {
	lacking := Lacking(src, g.Blobs)
	switch dst.(type) {
	case *archive, *stream: // nothing of them is kept
		if len(lacking) > 0 {
			return src.lacks(lacking)
		}
		return copyGraph(ctx, src, root, g, dst, tag, opts)
	}
	if err := checkRoom(dst, without(g.Blobs, lacking)); err != nil {
		return err
	}
	l := &loader{copier: &copier{dst: dst, opts: opts, there: map[digest.Digest]bool{}}, src: src, found: map[digest.Digest]bool{}}
	l.problems = VolumesError{Digest: root.Digest, Volumes: src.list.Volumes}
	err := l.load(ctx, g.Blobs)
	if err == nil && len(l.problems.Missing)+len(l.problems.Damaged) == 0 {
		err = l.prove(ctx, g.Blobs)
	}
	if err == nil && len(l.problems.Missing)+len(l.problems.Damaged) > 0 {
		err = l.problems.sorted()
	}
	if err == nil {
		err = missing(g.Blobs, l.there)
	}
	if dst, ok := dst.(*layout); ok && err != nil {
		dst.keep = true
		return errors.Join(err, dst.sync())
	}
	if err != nil {
		return err
	}
	return l.copyAll(ctx, nil, g, root, tag)
}

// without are the blobs that are not among others.
func without(blobs, others []ocispec.Descriptor) (rest []Blob) {
	drop := make(map[digest.Digest]bool, len(others))
	for _, desc := range others {
		drop[desc.Digest] = true
	}
	for _, desc := range blobs {
		if !drop[desc.Digest] {
			rest = append(rest, Blob{Descriptor: desc})
		}
	}
	return rest
}

// lacks says on which volumes the blobs are.
func (s *volumes) lacks(blobs []ocispec.Descriptor) error {
	e := &VolumesError{Digest: s.list.Digest, Volumes: s.list.Volumes}
	for _, desc := range blobs {
		e.miss(s, desc)
	}
	return e.sorted()
}

// load copies the blobs that are there. What is damaged does not stop the others.
func (l *loader) load(ctx context.Context, blobs []ocispec.Descriptor) error {
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(l.concurrency())
	for _, desc := range blobs {
		if groupCtx.Err() != nil {
			break
		}
		g.Go(func() error { return l.loadBlob(groupCtx, desc) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (l *loader) loadBlob(ctx context.Context, desc ocispec.Descriptor) error {
	ok, err := l.seems(ctx, desc)
	if ok || err != nil {
		l.skipped(desc, err)
		l.settle(desc, ok)
		return err
	}
	rc, err := l.src.Fetch(ctx, desc)
	if err == nil {
		rc.Close()
		err = l.copyBlob(ctx, Blob{desc, func(ctx context.Context) (io.ReadCloser, error) { return l.src.Fetch(ctx, desc) }})
	}
	if b := l.src.cut(desc); b != nil && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrDigest)) {
		if dst, ok := l.dst.(*layout); ok {
			return l.loadParts(ctx, dst, desc, b) // which keeps what is right of it
		}
	}
	l.settle(desc, err == nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, ErrDigest):
		return l.problems.damage(ctx, l.src, desc)
	case errors.Is(err, ErrNotFound):
		l.problems.miss(l.src, desc)
		l.problems.join(l.src.cut(desc))
		return nil
	}
	return err
}

// settle keeps in mind whether a blob is at dst.
func (l *loader) settle(desc ocispec.Descriptor, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.there[desc.Digest] = there
}

// seems reports whether a blob is at dst, for a layout by its name and size. It is hashed when all the others are there.
func (l *loader) seems(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	dst, ok := l.dst.(*layout)
	if !ok {
		return l.dst.Exists(ctx, desc)
	}
	size, err := dst.blobSize(desc.Digest)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || size != desc.Size || l.found == nil {
		return false, err
	}
	l.found[desc.Digest] = true
	return true, nil
}

// prove hashes what was at dst before, and copies what is not right there.
func (l *loader) prove(ctx context.Context, blobs []ocispec.Descriptor) error {
	before := slices.DeleteFunc(slices.Clone(blobs), func(desc ocispec.Descriptor) bool { return !l.found[desc.Digest] })
	there, err := existing(ctx, l.dst, before, l.concurrency())
	if err != nil {
		return err
	}
	l.found = nil
	wrong := slices.DeleteFunc(before, func(desc ocispec.Descriptor) bool { return there[desc.Digest] })
	for _, desc := range wrong {
		l.settle(desc, false)
	}
	return l.load(ctx, wrong)
}

// loadParts adds the parts that are there to a blob that is not whole at dst.
func (l *loader) loadParts(ctx context.Context, dst *layout, desc ocispec.Descriptor, b *volumeBlob) error {
	var offset int64
	parts := make([]cutPart, len(b.Parts))
	for i, p := range b.Parts {
		parts[i] = cutPart{offset, p.Size, p.Digest, func() (io.ReadCloser, error) {
			f, err := l.src.openPart(b, i)
			if err != nil {
				return nil, err
			}
			return meteredFile{f, newMeter(struct{ io.Reader }{f}, l.opts.OnBytes)}, nil
		}}
		offset += p.Size
	}
	absent, wrong, err := dst.pushCut(ctx, desc, parts)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, ErrDigest):
		return l.problems.damage(ctx, l.src, desc)
	case err != nil:
		return err
	case len(absent)+len(wrong) == 0:
		l.copied(desc)
		l.there[desc.Digest] = true
	}
	for _, i := range absent {
		add(&l.problems.Missing, l.src, b.Parts[i].Volume, desc, b.Parts[i].Size)
	}
	for _, i := range wrong {
		add(&l.problems.Damaged, l.src, b.Parts[i].Volume, desc, b.Parts[i].Size)
	}
	return nil
}

// meteredFile is a file whose bytes are counted.
type meteredFile struct {
	io.Closer
	io.Reader
}
