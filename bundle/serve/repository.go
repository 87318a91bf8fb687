package serve

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// A repository has the bundles that are called by its name, and what refers to them. All of it is proven.
type repository struct {
	tags      map[string]digest.Digest
	manifests map[digest.Digest]manifest
	blobs     map[digest.Digest]blob
	referrers map[digest.Digest][]ocispec.Descriptor // by subject
}

type manifest struct {
	desc ocispec.Descriptor
	data []byte
}

type blob struct {
	desc  ocispec.Descriptor
	store *sharedStore
}

// openRegistry makes the registry of bundles that were proven. Of what refers to them it proves those blobs that
// previous, which may be nil, does not have from the same store.
func openRegistry(ctx context.Context, entries []entry, previous *registry) (*registry, error) {
	g := newRegistry()
	for _, b := range entries {
		r := g.repositories[b.repository]
		if r == nil {
			r = &repository{
				tags: make(map[string]digest.Digest), manifests: make(map[digest.Digest]manifest),
				blobs: make(map[digest.Digest]blob), referrers: make(map[digest.Digest][]ocispec.Descriptor),
			}
			g.repositories[b.repository] = r
		}
		if err := r.add(ctx, b, previous); err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
	}
	return g, nil
}

func (r *repository) add(ctx context.Context, b entry, previous *registry) error {
	if b.tag != "" {
		r.tags[b.tag] = b.index.Digest
	}
	if _, ok := r.manifests[b.index.Digest]; ok {
		return nil // under another tag
	}
	own := b.blobs()
	for _, desc := range b.graph.Blobs {
		if !own[desc.Digest] && !previous.has(desc, b.store) {
			if err := prove(ctx, b.store, desc); err != nil {
				return err
			}
		}
		r.blobs[desc.Digest] = blob{desc, b.store}
	}
	for _, n := range b.graph.Documents {
		if _, ok := r.manifests[n.Descriptor.Digest]; ok {
			continue
		}
		r.manifests[n.Descriptor.Digest] = manifest{n.Descriptor, n.Data}
		if listed, subject, ok := n.Referrer(); ok {
			r.referrers[subject] = append(r.referrers[subject], listed)
		}
	}
	for _, t := range b.graph.Tags {
		r.tags[t.Tag] = t.Descriptor.Digest
	}
	return nil
}

// blobs are those that make the bundle, which are proven with it.
func (b served) blobs() map[digest.Digest]bool {
	own := make(map[digest.Digest]bool)
	for _, p := range b.platforms {
		own[p.Config.Digest] = true
		for _, l := range p.Layers {
			own[l.Digest] = true
		}
	}
	return own
}

func (g *registry) has(desc ocispec.Descriptor, store *sharedStore) bool {
	if g == nil {
		return false
	}
	for _, r := range g.repositories {
		if b, ok := r.blobs[desc.Digest]; ok && b.store == store && b.desc.Size == desc.Size {
			return true
		}
	}
	return false
}

// prove reads a blob to its end.
func prove(ctx context.Context, store oci.Store, desc ocispec.Descriptor) error {
	rc, err := store.Fetch(ctx, desc)
	if err == nil {
		defer rc.Close()
		_, err = io.Copy(io.Discard, oci.VerifyReader(ctx, rc, desc))
	}
	if err != nil {
		return fmt.Errorf("blob %s of what refers to the bundle: %w", desc.Digest, err)
	}
	return nil
}
