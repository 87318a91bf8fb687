package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// RepairUnpacked proves the current generation of a directory that [Unpack] made, by the bytes of its files, as Unpack does
// when it links them. What is not right comes from the first of the sources that has the layer whole, and a new generation
// takes the place of the damaged one, if all is found; the one before it stays, and may share the damage. In a dry run
// nothing is written.
//
// What the bundles are is told by what Unpack kept of them, which has to be whole.
func RepairUnpacked(ctx context.Context, dir string, from []oci.Store, dryRun bool, progress func(Event)) (*Repaired, error) {
	if _, err := unpackedAt(dir); err != nil {
		return nil, err
	}
	open := openTree
	if dryRun {
		open = viewTree
	}
	t, err := open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer t.close()
	r := &rootRepair{from: from, dryRun: dryRun, result: new(Repaired)}
	err = r.run(ctx, t, reporter(progress))
	return r.result, err
}

// rootRepair is one run of RepairUnpacked.
type rootRepair struct {
	from   []oci.Store
	dryRun bool
	result *Repaired
}

func (r *rootRepair) run(ctx context.Context, t *tree, report func(Event)) error {
	g, err := t.next()
	if err != nil {
		return err
	}
	defer g.close()
	u, err := openRoot(ctx, t, g, r.from, report)
	if err != nil {
		return err
	}
	defer u.close()
	if err := u.findLinks(ctx, g); err != nil {
		return err
	}
	if err := r.prove(ctx, g, u); err != nil || r.dryRun || len(r.result.Mended) == 0 {
		if err != nil && !r.dryRun {
			r.result.Mended, r.result.Fetched = nil, 0 // all or nothing
		}
		return err
	}
	if err := u.fill(ctx, g); err != nil {
		r.result.Mended, r.result.Fetched = nil, 0
		return err
	}
	_, err = t.publish(g, u.name(), t.earlier())
	return err
}

// prove finds the layers whose files are not right, and whether a source has them, and then what else is not right.
func (r *rootRepair) prove(ctx context.Context, g *generation, u *unpacker) error {
	var lost []error
	for _, name := range slices.Sorted(maps.Keys(u.layers)) {
		l := u.layers[name]
		r.result.Blobs++
		r.result.Bytes += l.desc.Size
		if u.links[name] != nil {
			continue
		}
		cause, files := errors.New("it was not unpacked"), u.damage[name]
		if files != nil {
			cause = problemsError(files)
		}
		p := Problem{Name: name, Digest: l.blob().Digest, Err: cause, Error: cause.Error(), Files: files}
		if _, err := l.v.store.(*keptStore).source(ctx, l.blob()); err != nil {
			r.result.Lost = append(r.result.Lost, p)
			lost = append(lost, fmt.Errorf("%s: %w: whole in no source; here: %v", p.Name, ErrIncomplete, errors.Join(cause, err)))
			continue
		}
		r.result.Mended = append(r.result.Mended, p)
		r.result.Fetched += l.desc.Size
	}
	faults, err := u.faults(ctx, g, g.settingsDir())
	for _, f := range faults {
		r.result.Mended = append(r.result.Mended, Problem{Name: f.File, Err: errors.New(f.Error), Error: f.Error, Files: []FileProblem{f}})
	}
	return errors.Join(append(lost, err)...)
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
