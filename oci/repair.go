package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// RepairOptions say how to repair. The functions may be nil, and are called from many goroutines.
type RepairOptions struct {
	DryRun  bool        // nothing is written, and of the sources only asked whether they have it
	OnBytes func(int64) // bytes read of what is repaired
}

// Repaired is what Repair found and did.
type Repaired struct {
	Blobs  int      // documents and blobs, each counted once
	Bytes  int64    // of them
	Mended []Damage // with what was wrong; in a dry run, what a source has
	Lost   []Damage // no source has it whole
	Left   []Damage // no more than index.json says that deltas leave out, which proves nothing
	Away   []error  // why sources could not be asked for all of it: each once, as it is not asked again then
}

// Repair reads all that the index.json of the layout dst names, and what is not there or not right it takes from the
// first of the sources that has it whole. Nothing else is read of a source, which may be damaged itself. Index.json is
// left as it is; where it has been forged the right bytes of the wrong thing are fetched, as nothing is asked of
// signatures. What has been mended is durable when it returns.
//
// An error ends the work: a disk that cannot be written, a manifest that is malformed under its right digest. That
// something is lost is an error as well, [ErrNotFound], after all has been tried.
func Repair(ctx context.Context, dst Store, from []Store, opts RepairOptions) (Repaired, error) {
	l, ok := dst.(*layout)
	if !ok {
		return Repaired{}, mark(ErrUsage, errors.New("only a layout can be repaired"))
	}
	ix, err := l.readIndex()
	if err != nil {
		return Repaired{}, fmt.Errorf("%s: %w", l.dir, err)
	}
	if err := l.sweepBefore(ctx, opts); err != nil {
		return Repaired{}, fmt.Errorf("%s: %w", l.dir, err)
	}
	r := &repairer{dst: l, from: from, opts: opts, away: make([]error, len(from))}
	w := &walker{src: l, sizes: map[digest.Digest]int64{}}
	w.instead = func(desc ocispec.Descriptor, err error) ([]byte, error) { return r.document(ctx, desc, err) }
	if err := w.walkIndex(ctx, ix); err != nil {
		return r.result, fmt.Errorf("%s: %w", l.dir, err)
	}
	r.result.Blobs, r.result.Bytes = w.count()
	damaged, err := checkBlobs(ctx, l, w.Blobs, CopyOptions{OnBytes: opts.OnBytes})
	if err != nil {
		return r.result, err
	}
	damaged = r.leave(ix, damaged)
	if err := r.blobs(ctx, damaged); err != nil {
		return r.result, err
	}
	r.result.Lost = r.leave(ix, r.result.Lost)
	return r.result, errors.Join(r.lost(), l.sync())
}

// leave takes what is missing out of what is damaged, if it is no more than deltas leave out.
func (r *repairer) leave(ix *index, damaged []Damage) (rest []Damage) {
	var out int64
	for _, e := range ix.Manifests {
		if d := deltaOf(e.Annotations); d != nil {
			out += d.Blobs
		}
	}
	var missing []Damage
	for _, d := range damaged {
		if errors.Is(d.Err, ErrNotFound) && !isManifest(d.Descriptor.MediaType) {
			missing = append(missing, d)
		} else {
			rest = append(rest, d)
		}
	}
	if int64(len(missing)) > out {
		return damaged
	}
	r.result.Left = append(r.result.Left, missing...)
	return rest
}

// sweepBefore takes over what a killed run left, which else happens with the first blob that is written: there may be none
// left to write. Where nothing was left nothing is written, so that a read-only layout can be looked at.
func (l *layout) sweepBefore(ctx context.Context, opts RepairOptions) error {
	left, err := fs.Glob(l.root.FS(), stagingPrefix+"*")
	if err != nil || len(left) == 0 || opts.DryRun {
		return err
	}
	_, err = l.staged(ctx)
	return local(err)
}

// walkIndex is walk for all that index.json lists, in whatever form.
func (w *walker) walkIndex(ctx context.Context, ix *index) error {
	for _, e := range ix.Manifests {
		visit := w.blob
		if isManifest(e.MediaType) {
			visit = func(desc ocispec.Descriptor) error { return w.visit(ctx, desc, 0, false) }
		}
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

// repairer is one run of Repair.
type repairer struct {
	dst  *layout
	from []Store
	opts RepairOptions

	mu     sync.Mutex
	away   []error // by source: why it cannot be asked
	result Repaired
}

// document mends a document, and returns it for what it names.
func (r *repairer) document(ctx context.Context, desc ocispec.Descriptor, cause error) (data []byte, err error) {
	if !isDamage(ctx, cause) {
		return nil, cause
	}
	err = r.mend(Damage{desc, cause}, func(s Store) error {
		found, err := fetchBytes(ctx, s, desc)
		if err == nil && !r.opts.DryRun {
			err = r.dst.Push(ctx, desc, bytes.NewReader(found))
		}
		if err == nil {
			data = found
		}
		return err
	})
	return data, err
}

func (r *repairer) blobs(ctx context.Context, damaged []Damage) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, d := range damaged {
		g.Go(func() error {
			return r.mend(d, func(s Store) error { return r.blob(ctx, s, d.Descriptor) })
		})
	}
	return g.Wait()
}

func (r *repairer) blob(ctx context.Context, s Store, desc ocispec.Descriptor) error {
	if r.opts.DryRun {
		ok, err := s.Exists(ctx, desc)
		if err == nil && !ok {
			err = ErrNotFound
		}
		return err
	}
	rc, err := fetchFor(ctx, r.dst, s, desc)
	if err != nil {
		return err
	}
	defer rc.Close()
	return r.dst.Push(ctx, desc, rc)
}

// mend takes what is damaged from the first source that has it whole. It is an error only where it is of no use to go on.
func (r *repairer) mend(d Damage, take func(Store) error) error {
	for i, s := range r.from {
		if r.isAway(i) {
			continue
		}
		err := take(s)
		switch {
		case err == nil:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.result.Mended = append(r.result.Mended, d)
			return nil
		case errors.Is(err, ErrNetwork), errors.Is(err, ErrUnauthorized):
			r.giveUp(i, err)
		case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrDigest) && !Unreadable(err):
			return err // it is not the source's fault
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Lost = append(r.result.Lost, d)
	return nil
}

func (r *repairer) isAway(i int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.away[i] != nil
}

func (r *repairer) giveUp(i int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away[i] == nil {
		r.away[i] = err
		r.result.Away = append(r.result.Away, err)
	}
}

func (r *repairer) lost() error {
	var errs []error
	for _, d := range r.result.Lost {
		errs = append(errs, mark(ErrNotFound, fmt.Errorf("%s is whole in no source", d.Descriptor.Digest)))
	}
	return errors.Join(errs...)
}
