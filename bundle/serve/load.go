package serve

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// load proves what the sources have now, and merges it. Nothing that is served changes.
func (s *Server) load(ctx context.Context, previous *set) (*set, error) {
	l := &loader{progress: s.opts.Progress, owner: make(map[string]string), seen: make(map[verifiedKey]bool)}
	for _, p := range s.places {
		if err := p.open(ctx, s.opts.Registry); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		if err := l.place(ctx, p); err != nil {
			return nil, err
		}
	}
	opts := bundle.SiteOptions{Progress: s.opts.Progress}
	var known *registry
	if previous != nil {
		opts.Previous, known = previous.site, previous.registry
	}
	site, err := bundle.OpenSite(ctx, l.bundles, opts)
	if err != nil {
		return nil, err
	}
	registry, err := openRegistry(ctx, l.served, known)
	if err != nil {
		return nil, err
	}
	return newSet(site, registry, l.served), nil
}

// A loader collects the bundles of all places.
type loader struct {
	progress func(bundle.Event)
	served   []served
	bundles  []bundle.SiteBundle
	owner    map[string]string // "repository:tag" to the bundle's name
	seen     map[verifiedKey]bool
}

// A verifiedKey tells bundles apart: one may have several tags, and lie in several places.
type verifiedKey struct {
	store *sharedStore
	index digest.Digest
}

func (l *loader) place(ctx context.Context, p *place) error {
	targets, err := p.targets(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	if len(targets) == 0 {
		return fmt.Errorf("%s: no bundle is there: %w", p.Name, oci.ErrNotFound)
	}
	for _, t := range targets {
		if err := l.target(ctx, p, t); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) target(ctx context.Context, p *place, t target) error {
	if t.tag != "" {
		at := p.repository + ":" + t.tag
		if other, taken := l.owner[at]; taken {
			return fmt.Errorf("%w: %s and %s would both be /v2/%s:%s; call one of them otherwise: NAME=%[3]s", oci.ErrUsage, other, t.name, p.repository, t.tag)
		}
		l.owner[at] = t.name
	}
	v, err := bundle.Verify(ctx, p.store.Store, t.ref, bundle.VerifyOptions{Progress: l.progress})
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	l.served = append(l.served, served{name: t.name, repository: p.repository, tag: t.tag, index: v.Index, platforms: v.Platforms, store: p.store})
	if key := (verifiedKey{p.store, v.Index.Digest}); !l.seen[key] {
		l.seen[key] = true
		l.bundles = append(l.bundles, bundle.SiteBundle{Name: t.name, Verified: v})
	}
	return nil
}
