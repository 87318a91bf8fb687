package oci

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

const (
	maxGraphDepth = 16       // an index is over manifests; more is somebody's game
	maxGraphBytes = 64 << 20 // of all manifests together, which are kept in memory
)

// Graph is all that belongs to a manifest: what it names, and what refers to it or to a part of it. It has the order in
// which it can be pushed.
type Graph struct {
	Blobs     []ocispec.Descriptor // each once, with the annotations of who names it first
	Documents []Node               // each behind what it names, and before what refers to it; signatures before attestations
	Tags      []Tagged             // cosign's

	small map[digest.Digest]bool // blobs that are configs, or belong to what refers to something
}

// Node is a manifest or an index. Its bytes are those of its digest.
type Node struct {
	Descriptor ocispec.Descriptor
	Data       []byte

	referrer bool
}

// Referrer returns the node as the referrers API lists it, and what it refers to.
func (n Node) Referrer() (listed ocispec.Descriptor, subject digest.Digest, ok bool) {
	r, ok := referrerOf(n.Descriptor, n.Data)
	return r.desc, r.subject, ok
}

// Tagged is a manifest under a tag.
type Tagged struct {
	Descriptor ocispec.Descriptor
	Tag        string
}

// cosignSuffixes make the tags under which cosign keeps what belongs to sha256-<hex>.
var cosignSuffixes = []string{cosignSignature, cosignAttestation, cosignSBOM}

// Walk reads the documents of the graph below and above root. The result does not depend on timing, nor on the order in
// which a registry lists referrers. Of blobs it reads none.
func Walk(ctx context.Context, src Store, root ocispec.Descriptor) (*Graph, error) {
	w := &walker{src: src, up: true, sizes: map[digest.Digest]int64{}}
	return &w.Graph, w.walk(ctx, root)
}

type walker struct {
	Graph
	src   Store
	up    bool                    // referrers too
	sizes map[digest.Digest]int64 // of all that was seen
	bytes int64                   // of documents

	// instead says what is done about a document that cannot be read: with its bytes from elsewhere, or without it if
	// they are nil. Nil: the error ends the walk.
	instead func(ocispec.Descriptor, error) ([]byte, error)
}

func (w *walker) walk(ctx context.Context, root ocispec.Descriptor) error {
	if !isManifest(root.MediaType) {
		return malformed("%s is not a manifest but %q", root.Digest, root.MediaType)
	}
	if err := w.visit(ctx, root, 0, true); err != nil {
		return err
	}
	w.signaturesFirst()
	return nil
}

// see reports whether desc is new. One digest cannot have two sizes.
func (w *walker) see(desc ocispec.Descriptor) (bool, error) {
	size, seen := w.sizes[desc.Digest]
	if seen && size != desc.Size {
		return false, malformed("%s has both %d and %d bytes", desc.Digest, size, desc.Size)
	}
	w.sizes[desc.Digest] = desc.Size
	return !seen, nil
}

// visit adds a document, and what it names before it, and what refers to it behind it.
// Only what a user made has cosign's tags; signatures have none of their own.
func (w *walker) visit(ctx context.Context, desc ocispec.Descriptor, depth int, signable bool) error {
	isNew, err := w.see(desc)
	if err != nil || !isNew {
		return err
	}
	if depth > maxGraphDepth {
		return malformed("%s: nested deeper than %d", desc.Digest, maxGraphDepth)
	}
	data, err := fetchBytes(ctx, w.src, desc)
	if err != nil && w.instead != nil {
		if data, err = w.instead(desc, err); data == nil && err == nil {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	if w.bytes += int64(len(data)); w.bytes > maxGraphBytes {
		return malformed("more than %d bytes of manifests", maxGraphBytes)
	}
	doc, err := parseDocument(desc, data)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	for i, child := range doc.children() {
		if isManifest(child.MediaType) && isIndex(desc.MediaType) {
			err = w.visit(ctx, child, depth+1, signable)
		} else {
			if !signable || i == 0 && doc.Config != nil {
				w.markSmall(child)
			}
			err = w.blob(child)
		}
		if err != nil {
			return err
		}
	}
	w.Documents = append(w.Documents, Node{bare(desc), data, doc.Subject != nil})
	if !w.up {
		return nil
	}
	return w.referrers(ctx, desc, depth, signable)
}

func (w *walker) markSmall(desc ocispec.Descriptor) {
	if w.small == nil {
		w.small = map[digest.Digest]bool{}
	}
	w.small[desc.Digest] = true
}

func (w *walker) blob(desc ocispec.Descriptor) error {
	isNew, err := w.see(desc)
	if isNew && err == nil {
		named := bare(desc)
		named.Annotations = desc.Annotations
		w.Blobs = append(w.Blobs, named)
	}
	return err
}

func (w *walker) referrers(ctx context.Context, desc ocispec.Descriptor, depth int, signable bool) error {
	var found []ocispec.Descriptor
	signatures := make([]ocispec.Descriptor, len(cosignSuffixes))
	g, groupCtx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		found, err = w.src.Predecessors(groupCtx, desc)
		return err
	})
	if signable {
		for i, suffix := range cosignSuffixes {
			g.Go(func() (err error) {
				signatures[i], err = Find(groupCtx, w.src, fallbackTag(desc.Digest)+suffix)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("referrers of %s: %w", desc.Digest, err)
	}
	for i, sig := range signatures {
		if sig.Digest != "" {
			found = append(found, sig)
			w.Tags = append(w.Tags, Tagged{sig, fallbackTag(desc.Digest) + cosignSuffixes[i]})
		}
	}
	for _, r := range found {
		if !isManifest(r.MediaType) {
			return malformed("referrer %s of %s is not a manifest but %q", r.Digest, desc.Digest, r.MediaType)
		}
		if err := w.visit(ctx, r, depth+1, false); err != nil {
			return err
		}
	}
	return nil
}
