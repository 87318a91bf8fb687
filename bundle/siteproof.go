package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/oci"
)

// A provenLayer is a layer with all that was proven of it, in the place where it was.
type provenLayer struct {
	store                oci.Store
	blob, digest, diffID digest.Digest
	name, sum            string
}

func (l siteLayer) key() provenLayer {
	return provenLayer{l.v.store, l.blob().Digest, l.desc.Digest, l.diffID, layerName(l.desc), l.desc.Annotations[AnnotationSum]}
}

// A provenBundle is a bundle whose graph was proven: it holds as long as the documents are the same.
type provenBundle struct {
	store     oci.Store
	index     digest.Digest
	platforms string
}

func (b SiteBundle) key() provenBundle {
	return provenBundle{b.store, b.Index.Digest, strings.Join(b.platforms(), " ")}
}

// unproven returns the layers but the graphs, each once in each store, that previous has not proven in
// the same store. What it has proven is taken over.
func (s *Site) unproven(previous *Site) []siteLayer {
	var layers []siteLayer
	seen := make(map[provenLayer]bool)
	for _, b := range s.bundles {
		for _, l := range b.layers() {
			l := siteLayer{b.Name, b.Verified, l}
			if seen[l.key()] || layerKind(l.desc) == kindGraph {
				continue
			}
			seen[l.key()] = true
			if !s.takeOver(l, previous) {
				layers = append(layers, l)
			}
		}
	}
	slices.SortStableFunc(layers, siteLayer.larger)
	return layers
}

// takeOver takes over what previous has proven of a layer, if that is all of it.
func (s *Site) takeOver(l siteLayer, previous *Site) bool {
	if previous == nil {
		return false
	}
	for _, m := range l.members() {
		c, ok := previous.proven[m.key()]
		if !ok {
			return false
		}
		s.proven[m.key()] = c
	}
	return true
}

// prove reads the layers that are not proven yet.
func (s *Site) prove(ctx context.Context, previous *Site, report func(Event)) error {
	layers := s.unproven(previous)
	report(total("verify", layers))
	defer saveProofs(s.bundles)
	var mu sync.Mutex
	var problems []error
	err := parallel(ctx, runtime.GOMAXPROCS(0), layers, func(ctx context.Context, l siteLayer) error {
		proven, err := l.read(ctx)
		report(Event{Stage: "verify", Item: layerName(l.desc), Items: 1})
		if err != nil {
			err = fmt.Errorf("%s: %s: %w", l.name, layerName(l.desc), err)
		}
		if err != nil && (ctx.Err() != nil || !isProblem(err)) {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			problems = append(problems, err)
		}
		maps.Copy(s.proven, proven)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(problems, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// total says how much there is to do.
func total(stage string, layers []siteLayer) Event {
	e := Event{Stage: stage, TotalItems: len(layers)}
	for _, l := range layers {
		e.TotalBytes += l.desc.Size
	}
	return e
}

// read proves a layer, and returns what each module of it holds.
func (l siteLayer) read(ctx context.Context) (map[provenLayer]moduleContent, error) {
	proven := make(map[provenLayer]moduleContent)
	switch layerKind(l.desc) {
	case kindTool:
		c, err := l.v.readTool(ctx, l.proofLayer, nil)
		proven[l.key()] = moduleContent{tool: c}
		return proven, err
	case kindToolchain:
		proven[l.key()] = moduleContent{}
		return proven, l.v.readToolchain(ctx, l.proofLayer, nil, nil)
	}
	err := l.v.readModules(ctx, l.proofLayer, func(m proofLayer, b *blobReader) (err error) {
		proven[siteLayer{l.name, l.v, m}.key()], err = b.module(ctx, nil)
		return err
	})
	return proven, err
}

// proveGraphs proves the graph layers against the others, which have been read.
func (s *Site) proveGraphs(ctx context.Context, previous *Site) ([]part, error) {
	var parts []part
	var problems []error
	for _, b := range s.bundles {
		p, ok := part{}, false
		if previous != nil {
			p, ok = previous.parts[b.key()]
		}
		if !ok {
			var err error
			if p, err = s.proveGraph(ctx, b); err != nil {
				problems = append(problems, fmt.Errorf("%s: module graph: %w", b.Name, err))
				continue
			}
		}
		p.name = b.Name
		s.parts[b.key()] = p
		parts = append(parts, p)
	}
	return parts, errors.Join(problems...)
}

func (s *Site) proveGraph(ctx context.Context, b SiteBundle) (p part, err error) {
	c := &checker{v: b.Verified, contents: make(map[string]moduleContent), tools: make(map[digest.Digest]toolContent)}
	for _, l := range b.siteLayers() {
		proven := s.proven[l.key()]
		switch layerKind(l.desc) {
		case kindModule:
			c.contents[layerName(l.desc)] = proven
		case kindTool:
			c.tools[l.desc.Digest] = proven.tool
		}
	}
	if p.record, p.files, err = b.openGraph(ctx); err != nil {
		return p, err
	}
	return p, c.checkGraph(p.record, p.files)
}
