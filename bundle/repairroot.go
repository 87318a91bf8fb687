package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// RepairUnpacked proves the current generation of a directory that [Unpack] made, by the bytes of its files and not by
// their times, as Unpack does when it links them. What is not right comes from the first of the sources that has the layer
// whole, and a new generation takes the place of the damaged one, if all is found; the one before it stays, and may share
// the damage. In a dry run nothing is written, and only the layers are looked at.
//
// What the bundles are is told by what Unpack kept of them, which has to be whole.
func RepairUnpacked(ctx context.Context, dir string, from []oci.Store, dryRun bool, progress func(Event)) (*Repaired, error) {
	if _, err := unpackedAt(dir); err != nil {
		return nil, err
	}
	r := &rootRepair{from: from, dryRun: dryRun, report: reporter(progress), result: new(Repaired), bad: make(map[digest.Digest]bool)}
	current, err := filepath.Abs(filepath.Join(dir, linkCurrent))
	if err != nil {
		return nil, err
	}
	if !dryRun {
		t, err := openTree(ctx, dir)
		if err != nil {
			return nil, err
		}
		defer t.close()
		r.tree = t
	}
	err = r.run(ctx, current)
	return r.result, err
}

// rootRepair is one run of RepairUnpacked.
type rootRepair struct {
	from   []oci.Store
	dryRun bool
	report func(Event)
	tree   *tree // nil in a dry run

	mu     sync.Mutex
	result *Repaired
	bad    map[digest.Digest]bool
}

func (r *rootRepair) run(ctx context.Context, current string) error {
	was, err := readState(current)
	if err != nil {
		return err
	}
	kept, verified, err := openUnpacked(ctx, current)
	if err != nil {
		return fmt.Errorf("%w: what %s has kept of its bundles is damaged: unpack them again, into another directory (%v)", ErrMismatch, current, err)
	}
	defer kept.Close()
	u := &unpacker{contents: make(map[string]moduleContent)}
	u.opts.Warn = func(string) {}
	goos, arch, _ := strings.Cut(was.Platform, "/")
	u.opts.Platform, u.opts.Extract = gomod.Platform{OS: goos, Arch: arch}, was.Extract
	for i, v := range verified {
		v.report, v.store = r.report, &keptStore{kept, r.from}
		if err := u.take(SiteBundle{was.Bundles[i].Name, v}); err != nil {
			return err
		}
	}
	err = r.prove(ctx, current, u, was)
	if err == nil && !r.dryRun {
		err = r.replace(ctx, u)
	}
	if err != nil && !r.dryRun {
		r.result.Mended, r.result.Fetched = nil, 0 // all or nothing
	}
	return err
}

// prove finds the layers whose files are not right, and whether a source has them.
func (r *rootRepair) prove(ctx context.Context, current string, u *unpacker, was state) error {
	root, err := os.OpenRoot(current)
	if err != nil {
		return err
	}
	defer root.Close()
	u.choose()
	var layers []siteLayer
	for _, l := range u.layers {
		layers = append(layers, l)
		r.result.Blobs++
		r.result.Bytes += l.desc.Size
	}
	var lost []error
	err = parallel(ctx, runtime.GOMAXPROCS(0), layers, func(ctx context.Context, l siteLayer) error {
		cause := proveFiles(ctx, root, l.proofLayer, was.Layers[l.desc.Digest], was.Extract)
		r.report(Event{Stage: "repair", Item: layerName(l.desc), Items: 1, Bytes: l.desc.Size})
		if cause == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		_, err := l.v.store.(*keptStore).source(ctx, l.desc)
		r.mu.Lock()
		defer r.mu.Unlock()
		p := Problem{Name: layerName(l.desc), Digest: l.desc.Digest, Err: cause, Error: cause.Error()}
		if err != nil {
			r.result.Lost = append(r.result.Lost, p)
			lost = append(lost, fmt.Errorf("%s: %w: whole in no source; here: %v", p.Name, ErrIncomplete, errors.Join(cause, err)))
			return nil
		}
		r.bad[l.desc.Digest] = true
		r.result.Mended = append(r.result.Mended, p)
		r.result.Fetched += l.desc.Size
		return nil
	})
	return errors.Join(append(lost, err)...)
}

// replace makes the generation again, with what is right of the old one.
func (r *rootRepair) replace(ctx context.Context, u *unpacker) error {
	u.tree = r.tree
	g, err := u.tree.stage()
	if err != nil {
		return err
	}
	defer g.discard()
	for d := range r.bad {
		delete(g.before.Layers, d)
	}
	if err := u.fill(ctx, g); err != nil {
		return err
	}
	if err := r.common(g); err != nil {
		return err
	}
	if len(r.result.Mended) == 0 {
		return nil
	}
	_, err = u.tree.publish(g, u.name(), u.tree.target(linkPrevious))
	return err
}

// common compares what is made of all layers together, and has just been made again.
func (r *rootRepair) common(g *generation) error {
	for _, f := range g.state.Common {
		is, err := g.read(f.Name)
		if err != nil {
			return err
		}
		was, err := g.tree.root.ReadFile(path.Join(g.old, f.Name))
		if err == nil && bytes.Equal(was, is) {
			continue
		}
		if err == nil {
			err = errors.New("its bytes are others than were written")
		}
		r.result.Mended = append(r.result.Mended, Problem{Name: f.Name, Err: err, Error: err.Error()})
	}
	return nil
}

// A keptStore has what a directory keeps of its bundles, and the layers that sources have whole.
type keptStore struct {
	oci.Store
	from []oci.Store
}

// Fetch asks the sources only for what is not kept.
func (s *keptStore) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := s.Store.Fetch(ctx, desc)
	if !errors.Is(err, oci.ErrNotFound) {
		return rc, err
	}
	source, err := s.source(ctx, desc)
	if err != nil {
		return nil, err
	}
	return source.Fetch(ctx, desc)
}

// source returns the first that has the blob whole.
func (s *keptStore) source(ctx context.Context, desc ocispec.Descriptor) (oci.Store, error) {
	var errs []error
	for _, source := range s.from {
		ok, err := source.Exists(ctx, desc)
		if ok {
			return source, nil
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("blob %s: %w", desc.Digest, oci.ErrNotFound)
}
