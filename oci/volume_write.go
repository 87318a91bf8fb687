package oci

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci/space"
)

// spreadFile is in a directory of volumes that are not all complete. It has the digest of what they will be.
const spreadFile = ".goferry-volumes"

// CopyToVolumes is [Copy] to new volumes in dir, each of which takes at most size bytes of its medium. They depend on
// what is copied, the tag and the size only. What an earlier attempt has left of the same volumes is used; where there
// are others, nothing is written. It returns also how many volumes there are.
func CopyToVolumes(ctx context.Context, src Store, srcTarget, dir, tag string, size int64, opts CopyOptions) (ocispec.Descriptor, int, error) {
	root, g, left, err := selectGraph(ctx, src, srcTarget, opts.Base)
	if err != nil {
		return root, 0, err
	}
	if err := missing(Lacking(src, g.Blobs), nil); err != nil {
		return root, 0, err
	}
	w := &volumeWriter{src: src, dir: dir, root: opts.entry(root, left), graph: g, opts: opts}
	if err := w.plan(ctx, tag, size); err != nil {
		return root, 0, err
	}
	if err := w.checkRoom(); err != nil {
		return root, 0, err
	}
	if err := w.claim(); err != nil {
		return root, 0, fmt.Errorf("write volumes to %s: %w", dir, err)
	}
	if err := w.write(ctx); err != nil {
		return root, 0, err
	}
	return root, w.list.Volumes, local(os.Remove(filepath.Join(dir, spreadFile)))
}

type volumeWriter struct {
	src       Store
	dir       string
	root      ocispec.Descriptor
	graph     *Graph
	opts      CopyOptions
	documents []Node // on each volume
	list      *volumeList
}

func (w *volumeWriter) plan(ctx context.Context, tag string, size int64) error {
	ix, documents, err := w.graph.index(ctx, w.root, tag)
	if err != nil {
		return err
	}
	data, err := ix.bytes()
	if err != nil {
		return err
	}
	common := fileCost(int64(len(layoutVersion))) + fileCost(int64(len(data)))
	for _, n := range documents {
		common += fileCost(n.Descriptor.Size)
	}
	w.documents = documents
	w.list, err = planVolumes(w.graph.Blobs, w.root, tag, size, common, len(documents)+3)
	return err
}

// claim sees to it that there are no other volumes in dir than those to be written.
func (w *volumeWriter) claim() error {
	names, err := volumesIn(w.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return local(err)
	}
	data, err := w.list.bytes()
	if err != nil {
		return err
	}
	spread := []byte(digest.FromBytes(data) + "\n")
	begun := bytes.Equal(w.readSpread(len(spread)), spread)
	if len(names) > 0 && !begun && !w.isDone(names) {
		return mark(ErrNotLayout, fmt.Errorf("there are other volumes (%s): remove them, or name another directory", names[0]))
	}
	for _, name := range names {
		if info, err := os.Lstat(filepath.Join(w.dir, name)); err != nil || !info.IsDir() {
			return mark(ErrNotLayout, fmt.Errorf("%s is a link, or no directory: remove it", name))
		}
	}
	if len(names) == 0 {
		if err := space.Check(w.dir, w.need()); err != nil {
			return mark(ErrNoSpace, err)
		}
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return local(err)
	}
	if begun {
		return nil
	}
	return local(w.writeSpread(spread))
}

// readSpread reads spreadFile, if it is a file of that size: somebody else may have written the medium.
func (w *volumeWriter) readSpread(size int) []byte {
	name := filepath.Join(w.dir, spreadFile)
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(size) {
		return nil
	}
	data, _ := os.ReadFile(name)
	return data
}

// writeSpread makes spreadFile anew, and follows no link in its place.
func (w *volumeWriter) writeSpread(data []byte) error {
	name := filepath.Join(w.dir, spreadFile)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// need is what all volumes take.
func (w *volumeWriter) need() (need space.Need) {
	for range w.list.Volumes {
		for _, n := range w.documents {
			need.Add(n.Descriptor.Size)
		}
	}
	for _, b := range w.list.Blobs {
		if b.Parts == nil {
			need.Add(b.Size)
		}
		for _, p := range b.Parts {
			need.Add(p.Size)
		}
	}
	return need
}

// isDone reports whether the directories are the volumes that are to be written, complete.
func (w *volumeWriter) isDone(names []string) bool {
	for _, name := range names {
		l, err := openLayout(filepath.Join(w.dir, name))
		if err != nil {
			return false
		}
		list, err := l.readVolume()
		l.root.Close()
		if err != nil || !sameSpread(list, withDigests(w.list, list)) {
			return false
		}
	}
	return len(names) == w.list.Volumes
}

// withDigests is the plan with the digests of parts that are known from list.
func withDigests(plan, list *volumeList) *volumeList {
	known := *plan
	known.Blobs = slices.Clone(plan.Blobs)
	for i, b := range known.Blobs {
		if i >= len(list.Blobs) || len(list.Blobs[i].Parts) != len(b.Parts) || b.Parts == nil {
			continue
		}
		known.Blobs[i].Parts = slices.Clone(b.Parts)
		for j := range b.Parts {
			known.Blobs[i].Parts[j].Digest = list.Blobs[i].Parts[j].Digest
		}
	}
	return &known
}

func (w *volumeWriter) write(ctx context.Context) error {
	for volume := 1; volume <= w.list.Volumes; volume++ {
		if err := w.copyWhole(ctx, volume); err != nil {
			return err
		}
	}
	for i := range w.list.Blobs {
		if err := w.copyCut(ctx, &w.list.Blobs[i]); err != nil {
			return err
		}
	}
	for volume := 1; volume <= w.list.Volumes; volume++ {
		if err := w.complete(ctx, volume); err != nil {
			return err
		}
	}
	return nil
}

func (w *volumeWriter) create(ctx context.Context, volume int) (*layout, error) {
	return createLayout(ctx, filepath.Join(w.dir, volumeName(volume, w.list.Volumes)))
}

// copyWhole makes a volume a layout of the documents and those blobs that are on it whole.
func (w *volumeWriter) copyWhole(ctx context.Context, volume int) (err error) {
	l, err := w.create(ctx, volume)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	l.keep = true
	var blobs []Blob
	for i, b := range w.list.Blobs {
		if desc := w.graph.Blobs[i]; b.Volume == volume {
			blobs = append(blobs, Blob{desc, func(ctx context.Context) (io.ReadCloser, error) { return fetchFor(ctx, l, w.src, desc) }})
		}
	}
	c := &copier{dst: l, opts: w.opts}
	if volume > 1 {
		c.opts.OnCopied, c.opts.OnSkipped = w.countBlobs(c.opts.OnCopied), w.countBlobs(c.opts.OnSkipped)
	}
	return c.copyAll(ctx, blobs, w.graph, w.root, w.list.Tag)
}

// countBlobs leaves out the documents, which are counted once.
func (w *volumeWriter) countBlobs(count func(ocispec.Descriptor)) func(ocispec.Descriptor) {
	return func(desc ocispec.Descriptor) {
		if count != nil && !isManifest(desc.MediaType) {
			count(desc)
		}
	}
}

// copyCut writes the parts of a blob that is too large for one volume. It is read once.
func (w *volumeWriter) copyCut(ctx context.Context, b *volumeBlob) error {
	if b.Parts == nil {
		return nil
	}
	desc := w.graph.Blobs[slices.IndexFunc(w.graph.Blobs, func(d ocispec.Descriptor) bool { return d.Digest == b.Digest })]
	rc, err := w.src.Fetch(ctx, desc)
	if err != nil {
		return err
	}
	defer rc.Close()
	// The struct hides ReadAt: a blob is read once, from its beginning.
	content := newVerifier(ctx.Err, newMeter(struct{ io.Reader }{rc}, w.opts.OnBytes), desc)
	for i := range b.Parts {
		if err := w.copyPart(ctx, b, i, content); err != nil {
			return err
		}
	}
	(&copier{opts: w.opts}).copied(desc)
	return nil
}

func (w *volumeWriter) copyPart(ctx context.Context, b *volumeBlob, i int, content *verifier) (err error) {
	part := &b.Parts[i]
	l, err := w.create(ctx, part.Volume)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	out, err := l.ingest(ctx)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := copyPiece(out, content, part.Size); err != nil {
		return local(err)
	}
	part.Digest = out.Digest()
	if err := l.root.MkdirAll(partDir, 0o755); err != nil {
		return local(err)
	}
	out.closed = true
	err = cmp.Or(out.file.Sync(), out.file.Close())
	if err == nil {
		err = l.root.Rename(out.name, partPath(b.Digest, i))
	}
	if err == nil {
		err = syncDir(l.root, partDir)
	}
	return local(err)
}

// copyPiece copies the next size bytes.
func copyPiece(dst io.Writer, src io.Reader, size int64) error {
	buf := buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{dst}, io.LimitReader(src, size), buf[:])
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	return err
}
