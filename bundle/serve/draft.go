package serve

import (
	"context"
	"errors"
	"fmt"

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
		d.entries, err = p.open(ctx, d.store, s.opts.Progress)
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
	d.entries, err = p.open(ctx, d.store, s.opts.Progress)
	if gone := (noTag{}); err != nil && !errors.As(err, &gone) {
		d.store.release()
		return draft{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	return d, nil
}

// noTag is the error of a tag or digest that was named and is not there.
type noTag struct{ error }

func (e noTag) Unwrap() error { return e.error }

// open reads the documents of the bundles of a place.
func (p *place) open(ctx context.Context, store *sharedStore, progress func(bundle.Event)) ([]entry, error) {
	targets, err := p.targets(ctx, store)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, t := range targets {
		if _, err := store.Resolve(ctx, t.ref); errors.Is(err, oci.ErrNotFound) {
			return nil, noTag{err}
		}
		v, err := bundle.Verify(ctx, store.Store, t.ref, bundle.VerifyOptions{Progress: progress})
		if err != nil {
			return nil, err
		}
		graph, err := oci.Walk(ctx, store, v.Index)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{
			served:   served{name: t.name, repository: p.repository, tag: t.tag, index: v.Index, platforms: v.Platforms, store: store},
			verified: v, graph: graph,
		})
	}
	return entries, nil
}
