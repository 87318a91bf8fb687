package oci

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// concurrency is how many blobs are in flight where nothing is said, and smallConcurrency how many small ones to or from a
// registry that does not mind: what they take is not the line but the time until it answers.
const concurrency, smallConcurrency = 6, 16

// CopyOptions say how to copy. The functions may be nil, and are called from many goroutines.
type CopyOptions struct {
	Concurrency int                           // blobs in flight; 0 is 6, and 16 small ones of a registry. An archive is always written one by one.
	OnCopied    func(desc ocispec.Descriptor) // a blob or manifest is at the destination now
	OnSkipped   func(desc ocispec.Descriptor) // or was there already
	OnBytes     func(n int64)                 // bytes read from the source, or done without; what is sent again is not counted again

	// Base is left out of a layout or an archive, which then says so; see [Delta]. nil: the copy is whole.
	Base   *Base
	OnLeft func(desc ocispec.Descriptor) // a blob is left out
}

// Copy copies what srcTarget names, with all that it names and all that refers to it or to a part of it: what the
// referrers API, the fallback tag or a layout's subjects tell, and cosign's .sig, .att and .sbom tags. Then it is
// tagged dstTag; "" only lists it by its digest. It returns the descriptor of what was copied.
//
// Blobs go first, then documents in the order in which they name each other, each with its signatures right behind it:
// Harbor wants a child to be signed before it gets the index. Attestations follow when all is signed. The tag asked for comes last: at no moment does dst
// have a tag of something incomplete. A copy that ends early leaves blobs and signatures, which the next finds,
// and the part that has come of a large one into a layout out of a registry, or into a registry, with which the next goes
// on. An archive is begun anew: it is one stream, and what it is made of is mostly local.
// Every byte is verified once, on its way into dst. The order in which an archive is written depends on content only.
//
// A source that has all documents but not all blobs will do where dst has the rest, whole. Where it has not the error
// is a [MissingError], and nothing was written. From volumes what there is is kept at dst, and what is missing yet is a
// [VolumesError].
func Copy(ctx context.Context, src Store, srcTarget string, dst Store, dstTag string, opts CopyOptions) (ocispec.Descriptor, error) {
	if dstTag != "" && !tagPattern.MatchString(dstTag) {
		return ocispec.Descriptor{}, mark(ErrUsage, fmt.Errorf("malformed tag %q", dstTag))
	}
	if _, ok := dst.(*repository); ok && opts.Base != nil {
		return ocispec.Descriptor{}, mark(ErrUsage, fmt.Errorf("a registry takes no manifest of which blobs are left out"))
	}
	root, g, left, err := selectGraph(ctx, src, srcTarget, opts.Base)
	if err != nil {
		return root, err
	}
	entry := opts.entry(root, left)
	if v, ok := src.(*volumes); ok {
		return root, copyVolumes(ctx, v, entry, g, dst, dstTag, opts)
	}
	err = copyGraph(ctx, src, entry, g, dst, dstTag, opts)
	if l, ok := dst.(*layout); ok && (errors.Is(err, ErrNetwork) || NoSpace(err) || ctx.Err() != nil) {
		l.keep = true
	}
	return root, err
}

// entry is what index.json is to say of root, of which some blobs are left out.
func (opts CopyOptions) entry(root ocispec.Descriptor, left []ocispec.Descriptor) ocispec.Descriptor {
	if opts.OnLeft != nil {
		for _, desc := range left {
			opts.OnLeft(desc)
		}
	}
	if d := opts.Base.delta(left); d != nil {
		root.Annotations = map[string]string{}
		d.annotate(root.Annotations)
	}
	return root
}

// selectGraph is what target names, with all that belongs to it, and what of that the base has.
func selectGraph(ctx context.Context, src Store, target string, base *Base) (root ocispec.Descriptor, g *Graph, left []ocispec.Descriptor, err error) {
	if root, err = src.Resolve(ctx, target); err != nil {
		return root, nil, nil, err
	}
	if g, err = Walk(ctx, src, root); err != nil {
		return root, nil, nil, err
	}
	if base != nil {
		left = base.leave(g)
	}
	return root, g, left, nil
}

// copyGraph copies g. A registry that misses something in the end, which it had by what it said before or lost since,
// is asked for everything and sent what it lacks: Harbor's garbage collection takes the children of an index that is
// still to come.
func copyGraph(ctx context.Context, src Store, root ocispec.Descriptor, g *Graph, dst Store, dstTag string, opts CopyOptions) error {
	blobs := make([]Blob, len(g.Blobs))
	for i, desc := range g.Blobs {
		blobs[i] = Blob{desc, func(ctx context.Context) (io.ReadCloser, error) { return fetchFor(ctx, dst, src, desc) }}
	}
	c := &copier{src: src, dst: dst, opts: opts, lacking: Lacking(src, g.Blobs)}
	r, ok := dst.(*repository)
	if ok {
		c.survey = r.survey(ctx, root, dstTag)
		c.mountFrom = r.sibling(src)
	}
	err := c.copyAll(ctx, blobs, g, root, dstTag)
	if ok && errors.Is(err, errMissing) {
		c = &copier{src: src, dst: dst, opts: CopyOptions{Concurrency: opts.Concurrency, OnCopied: opts.OnCopied}, lacking: c.lacking}
		err = c.copyAll(ctx, blobs, g, root, dstTag)
	}
	return err
}

func (c *copier) copyAll(ctx context.Context, blobs []Blob, g *Graph, root ocispec.Descriptor, tag string) error {
	if err := c.findLacking(ctx); err != nil {
		return err
	}
	if s, ok := c.dst.(*stream); ok {
		if err := s.begin(ctx, g, root, cmp.Or(tag, string(root.Digest))); err != nil {
			return err
		}
	}
	if err := c.copyBlobs(ctx, blobs); err != nil {
		return err
	}
	tags, later := map[digest.Digest][]string{}, g.Tags // a layout lists with each tag what refers to something by then
	if _, ok := c.dst.(*repository); ok {
		for _, t := range g.Tags {
			tags[t.Descriptor.Digest] = append(tags[t.Descriptor.Digest], t.Tag)
		}
		later = nil
	}
	for i, n := range g.Documents {
		last := i == len(g.Documents)-1 && n.Descriptor.Digest == root.Digest && len(tags[root.Digest]) == 0
		if r, ok := c.dst.(*repository); ok && last && tag != "" && c.lacks(n) {
			return c.finish(n, r.pushTagged(ctx, n, tag))
		}
		if err := c.copyDocument(ctx, n); err != nil {
			return err
		}
		for _, tag := range tags[n.Descriptor.Digest] {
			if err := c.dst.Tag(ctx, n.Descriptor, tag); err != nil {
				return err
			}
		}
	}
	for _, t := range later {
		if err := c.dst.Tag(ctx, t.Descriptor, t.Tag); err != nil {
			return err
		}
	}
	return c.dst.Tag(ctx, root, cmp.Or(tag, string(root.Digest)))
}

// fetchFor is src.Fetch, without a request for the start of a blob whose start dst has.
func fetchFor(ctx context.Context, dst, src Store, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if r, ok := src.(*repository); ok {
		if l, ok := dst.(*layout); ok && l.hasPart(desc) {
			return r.newDownload(ctx, desc, nil), nil
		}
	}
	return src.Fetch(ctx, desc)
}

// A Blob is content that has a descriptor and can be read as often as it takes to send it.
type Blob struct {
	Descriptor ocispec.Descriptor
	Open       func(context.Context) (io.ReadCloser, error)
}

// Push pushes the blobs that dst does not have, as Copy does it: several at once, and one by one in their order to an
// archive. Nothing is tagged; tag is what the manifest will get that names them. If any of them is new to a registry, what
// the manifest names that has this tag now, or a tag like it, is not asked for. A registry that has lost one of those
// refuses the manifest with [ErrNotFound]; with "" for the tag, Push asks for all.
func Push(ctx context.Context, dst Store, tag string, blobs []Blob, opts CopyOptions) error {
	c := &copier{dst: dst, opts: opts}
	if r, ok := dst.(*repository); ok && tag == "" {
		c.survey.empty = r.empty(ctx)
	} else if ok {
		c.survey = r.survey(ctx, ocispec.Descriptor{}, tag)
		if !slices.ContainsFunc(blobs, func(b Blob) bool { return !c.survey.named[b.Descriptor.Digest] }) {
			c.survey.named = nil // once more the same: that is how people repair
		}
	}
	return c.copyBlobs(ctx, blobs)
}

type copier struct {
	src    Store // nil if it is not one
	dst    Store
	opts   CopyOptions
	survey survey
	fresh  bool // dst has nothing, so it is not asked for every blob

	lacking []ocispec.Descriptor   // by the source
	there   map[digest.Digest]bool // at dst: of these, or of all that came from volumes

	mountFrom *repository // of the same registry, from which blobs need not be read; nil if there is none
	noMount   atomic.Bool // the registry does not do that
}

func (c *copier) concurrency() int {
	switch c.dst.(type) {
	case *archive, *stream:
		return 1
	}
	return cmp.Or(c.opts.Concurrency, concurrency)
}

// width is how many blobs are begun at once, all of them if they are small.
func (c *copier) width() int {
	for _, s := range []Store{c.src, c.dst} {
		if _, ok := s.(*repository); ok && c.concurrency() > 1 && c.opts.Concurrency == 0 {
			return smallConcurrency
		}
	}
	return c.concurrency()
}

// busy reports whether a registry has said that it is asked too much.
func (c *copier) busy() bool {
	for _, s := range []Store{c.src, c.dst} {
		if r, ok := s.(*repository); ok && r.client.busy.Load() {
			return true
		}
	}
	return false
}

func (c *copier) copyBlobs(ctx context.Context, blobs []Blob) error {
	if err := checkRoom(c.dst, blobs); err != nil {
		return err
	}
	if c.survey.empty {
		if err := c.probe(ctx, blobs[:min(c.concurrency(), len(blobs))]); err != nil {
			return err
		}
	}
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(c.width())
	turns := make(chan struct{}, c.concurrency())
	for _, b := range blobs {
		if groupCtx.Err() != nil {
			break
		}
		g.Go(func() error {
			if b.Descriptor.Size > smallBlob || c.busy() {
				turns <- struct{}{}
				defer func() { <-turns }()
			}
			ok, err := c.has(groupCtx, b.Descriptor)
			if err != nil || ok {
				c.skipped(b.Descriptor, err)
				return err
			}
			return c.copyBlob(groupCtx, b)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// probe asks for the blobs that are copied first. If a registry has none of them and no tag either, an earlier copy
// hardly got beyond them, as blobs are begun in order: nothing is there, or some that are small and sent again, and one
// request in three can be saved.
func (c *copier) probe(ctx context.Context, blobs []Blob) error {
	var found atomic.Bool
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range blobs {
		g.Go(func() error {
			ok, err := c.dst.Exists(ctx, b.Descriptor)
			if ok {
				found.Store(true)
			}
			return err
		})
	}
	err := g.Wait()
	c.fresh = !found.Load()
	return err
}

// has reports whether dst has a blob, without asking where the answer costs as much as the blob.
func (c *copier) has(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	switch {
	case c.survey.named[desc.Digest], c.there[desc.Digest]:
		return true, nil
	case c.fresh, c.survey.named != nil && desc.Size <= smallBlob:
		return false, nil
	}
	return c.dst.Exists(ctx, desc)
}

func (c *copier) copyBlob(ctx context.Context, b Blob) error {
	if c.mountFrom != nil && !c.noMount.Load() {
		if err := c.dst.(*repository).mount(ctx, b.Descriptor, c.mountFrom); err == nil {
			if c.opts.OnBytes != nil {
				c.opts.OnBytes(b.Descriptor.Size)
			}
			c.copied(b.Descriptor)
			return nil
		}
		c.noMount.Store(true)
	}
	rc, err := b.Open(ctx)
	if err != nil {
		return err
	}
	defer rc.Close()
	if err := c.dst.Push(ctx, b.Descriptor, newMeter(rc, c.opts.OnBytes)); err != nil {
		return &BlobError{b.Descriptor, err}
	}
	c.copied(b.Descriptor)
	return nil
}

// copyDocument pushes a document that its destination lacks. A referrer is always pushed:
// that the blob is there does not mean that it is listed.
func (c *copier) copyDocument(ctx context.Context, n Node) error {
	if !n.referrer && !c.lacks(n) {
		ok, err := c.has(ctx, n.Descriptor)
		if err != nil || ok {
			c.skipped(n.Descriptor, err)
			return err
		}
	}
	return c.finish(n, c.dst.Push(ctx, n.Descriptor, bytes.NewReader(n.Data)))
}

// lacks reports whether a document, which is no referrer, is rather sent than asked for.
func (c *copier) lacks(n Node) bool {
	return !n.referrer && (c.fresh || c.survey.named != nil && !c.survey.named[n.Descriptor.Digest])
}

func (c *copier) finish(n Node, err error) error {
	if err != nil {
		return fmt.Errorf("manifest %s: %w", n.Descriptor.Digest, err)
	}
	c.copied(n.Descriptor)
	return nil
}

func (c *copier) copied(desc ocispec.Descriptor) {
	if c.opts.OnCopied != nil {
		c.opts.OnCopied(desc)
	}
}

func (c *copier) skipped(desc ocispec.Descriptor, err error) {
	if err == nil && c.opts.OnSkipped != nil {
		c.opts.OnSkipped(desc)
	}
}
