package serve

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// load makes drafts of all places, proves that they go together, and makes them what is served. If that fails, what is
// served stays as it was.
func (s *Server) load(ctx context.Context) error {
	drafts, err := s.drafts(ctx)
	if err != nil {
		return err
	}
	next, err := s.prove(ctx, drafts)
	if err == nil {
		if err = s.accept(drafts); err != nil {
			next.release()
		}
	}
	if err != nil {
		for _, d := range drafts {
			d.store.release()
		}
		return err
	}
	for i, p := range s.places {
		p.keep(drafts[i])
	}
	s.mu.Lock()
	previous := s.current
	s.current = next
	s.mu.Unlock()
	if previous != nil {
		previous.release()
	}
	return nil
}

// drafts returns one for each place.
func (s *Server) drafts(ctx context.Context) (drafts []draft, err error) {
	defer func() {
		if err != nil {
			for _, d := range drafts {
				d.store.release()
			}
		}
	}()
	for _, p := range s.places {
		open := p.renew
		if p.store == nil {
			open = p.begin
		}
		d, err := open(ctx, s)
		if err != nil {
			return drafts, err
		}
		drafts = append(drafts, d)
	}
	return drafts, nil
}

// prove reads what has not been proven yet of the drafts, and merges all.
func (s *Server) prove(ctx context.Context, drafts []draft) (*set, error) {
	var entries []entry
	for _, d := range drafts {
		entries = append(entries, d.entries...)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("no bundle is left: %w", oci.ErrNotFound)
	}
	if err := checkNames(entries); err != nil {
		return nil, err
	}
	opts := bundle.SiteOptions{Progress: s.opts.Progress}
	var known *registry
	if s.current != nil {
		opts.Previous, known = s.current.site, s.current.registry
	}
	for _, c := range entries {
		if g, ok := c.store.Store.(*guard); ok {
			for _, desc := range c.graph.Blobs {
				g.note(ctx, desc)
			}
		}
	}
	site, err := bundle.OpenSite(ctx, siteBundles(entries), opts)
	if err != nil {
		return nil, err
	}
	registry, err := openRegistry(ctx, entries, known)
	if err != nil {
		return nil, err
	}
	return newSet(site, registry, entries), nil
}

// accept has it remembered which bundles were accepted: before anybody gets one.
func (s *Server) accept(drafts []draft) error {
	for i, p := range s.places {
		if err := p.accept(drafts[i].entries); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// checkNames refuses two bundles under one name of the registry.
func checkNames(entries []entry) error {
	owner := make(map[string]string)
	for _, c := range entries {
		if c.tag == "" {
			continue
		}
		at := c.repository + ":" + c.tag
		if other, taken := owner[at]; taken {
			return fmt.Errorf("%w: %s and %s would both be /v2/%s; call one of them otherwise: NAME=%[3]s", ErrName, other, c.name, at)
		}
		owner[at] = c.name
	}
	return nil
}

// siteBundles are the bundles, each once: one may have several tags.
func siteBundles(entries []entry) (bundles []bundle.SiteBundle) {
	type key struct {
		store *sharedStore
		index digest.Digest
	}
	seen := make(map[key]bool)
	for _, c := range entries {
		if k := (key{c.store, c.index.Digest}); !seen[k] {
			seen[k] = true
			bundles = append(bundles, bundle.SiteBundle{Name: c.name, Verified: c.verified})
		}
	}
	return bundles
}
