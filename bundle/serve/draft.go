package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A draft is what a place will have, once all places are proven to go together. It has its own use of the store.
type draft struct {
	store   *sharedStore
	entries []entry
	state   state
}

// begin opens a place for the first time.
func (p *place) begin(ctx context.Context, s *Server) (draft, error) {
	store, err := oci.Open(ctx, p.Reference, s.opts.Registry)
	if err != nil {
		return draft{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	d := draft{store: shared(guardFiles(store))}
	if d.state, err = p.look(ctx, store); err == nil {
		d.entries, err = p.open(ctx, d.store, s)
	}
	if err == nil && len(d.entries) == 0 {
		err = fmt.Errorf("no bundle is there: %w", oci.ErrNotFound)
	}
	if err != nil {
		d.store.release()
		return draft{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	p.seen, p.settled = d.state, true
	return d, nil
}

// renew reads what has changed in a place. A tag that is gone is left out.
func (p *place) renew(ctx context.Context, s *Server) (draft, error) {
	if !p.changed() {
		p.store.retain()
		return draft{p.store, p.entries, p.read}, nil
	}
	d := draft{store: p.store, state: p.seen}
	if p.renewed || !p.seen.samePlace(p.read) {
		store, err := oci.Open(ctx, p.Reference, s.opts.Registry)
		if err != nil {
			return draft{}, fmt.Errorf("%s: %w", p.Name, err)
		}
		d.store = shared(guardFiles(store))
	} else {
		p.store.retain()
	}
	var err error
	d.entries, err = p.open(ctx, d.store, s)
	if gone := (noTag{}); err != nil && !errors.As(err, &gone) {
		d.store.release()
		return draft{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	return d, nil
}

// noTag is the error of a tag or digest that was named and is not there.
type noTag struct{ error }

func (e noTag) Unwrap() error { return e.error }

// open reads the documents of the bundles of a place, and asks who signed them. Of all bundles of a layout or archive
// those are left out, and told once, that are not signed as they have to be and are not in the place of what is served.
func (p *place) open(ctx context.Context, store *sharedStore, s *Server) ([]entry, error) {
	targets, err := p.targets(ctx, store)
	if err != nil {
		return nil, err
	}
	opts := bundle.VerifyOptions{Trust: p.trust(), Progress: s.opts.Progress, CacheDir: s.opts.CacheDir}
	if opts.Trust != nil {
		opts.Trust.InUse = p.inUse()
	}
	var entries []entry
	var refused []error
	for _, t := range targets {
		e, err := p.openTarget(ctx, store, t, opts)
		switch {
		case err == nil:
			entries = append(entries, e)
		case isUntrusted(err) && p.serves(t.tag):
			return nil, fmt.Errorf("the new %s is not served: %w", t.tag, err)
		case isUntrusted(err) && p.all():
			refused = append(refused, fmt.Errorf("%s is not served: %w", t.name, err))
		default:
			return nil, err
		}
	}
	if len(entries) == 0 && len(refused) > 0 {
		return nil, errors.Join(refused...)
	}
	s.complain(ctx, &p.refusal, errors.Join(refused...))
	return entries, nil
}

func (p *place) openTarget(ctx context.Context, store *sharedStore, t target, opts bundle.VerifyOptions) (entry, error) {
	if _, err := store.Resolve(ctx, t.ref); errors.Is(err, oci.ErrNotFound) {
		return entry{}, noTag{err}
	}
	v, err := bundle.Verify(ctx, store.Store, t.ref, opts)
	if err != nil {
		return entry{}, err
	}
	graph, err := oci.Walk(ctx, store, v.Index)
	if err != nil {
		return entry{}, err
	}
	return entry{
		served: served{
			name: t.name, repository: p.repository, tag: t.tag, index: v.Index, platforms: v.Platforms, store: store,
			signers: bundle.Signers(v.Signatures),
		},
		verified: v, graph: graph,
	}, nil
}

func isUntrusted(err error) bool {
	return errors.Is(err, bundle.ErrUntrusted) || errors.Is(err, bundle.ErrRollback)
}

// serves says whether a tag of the place is served.
func (p *place) serves(tag string) bool {
	return slices.ContainsFunc(p.entries, func(e entry) bool { return e.tag == tag })
}

// inUse are the bundles of the place that are served.
func (p *place) inUse() (digests []digest.Digest) {
	for _, e := range p.entries {
		digests = append(digests, e.index.Digest)
	}
	return digests
}

// accept remembers, where that is asked for, that the bundles were accepted.
func (p *place) accept(entries []entry) error {
	for _, e := range entries {
		if err := p.trust().Accept(e.index.Digest, e.verified.Signatures); err != nil {
			return err
		}
	}
	return nil
}
