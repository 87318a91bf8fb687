package oci

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// youngAge is how long a blob is left alone that nothing leads to: another tool, which takes no lock, may be about to
// name it.
const youngAge = time.Hour

// Pruned is what Prune removed; in a dry run, what it would.
type Pruned struct {
	Tags   []string  // of what belonged to blobs that nothing leads to any more; digests where it had no tag
	Blobs  []Pruning // that nothing leads to
	Litter []Pruning // directories of processes that were killed
	Young  int       // blobs that nothing leads to, and that are not an hour old: they stay
}

// A Pruning is a file or a directory that was removed.
type Pruning struct {
	Name string // below the layout
	Size int64
}

// Prune removes from the layout s the blobs to which nothing leads. What index.json lists is kept, in whatever form, with
// what that names, what refers to it, and every blob whose digest stands anywhere in one of these: other tools have other
// ways to say that something belongs together. Only signatures and other referrers go with what they belong to. Where a
// document is damaged, so that it is not known what it names, nothing is removed, nor where nothing is listed.
//
// While a goferry writes into the layout nothing is removed either: its blobs are named in the end, and so are those that
// it found there. It is known by the lock on its staging directory, and no other begins before Prune has ended.
func Prune(ctx context.Context, s Store, dryRun bool) (Pruned, error) {
	l, ok := s.(*layout)
	if !ok {
		return Pruned{}, mark(ErrUsage, errors.New("only a layout can be pruned"))
	}
	var p Pruned
	err := l.prune(ctx, dryRun, &p)
	if err != nil {
		err = fmt.Errorf("prune %s: %w", l.dir, local(err))
	}
	return p, err
}

func (l *layout) prune(ctx context.Context, dryRun bool, p *Pruned) error {
	if !dryRun {
		f, err := l.lockLayout(ctx)
		if err != nil {
			return err
		}
		defer f.Close()
		defer unlock(f)
	}
	before, err := l.readFile(indexFile, maxIndex)
	if err != nil {
		return err
	}
	if p.Litter, err = l.litter(); err != nil {
		return err
	}
	ix, err := parseIndex(before)
	if err != nil {
		return err
	}
	if err := l.unreached(ctx, ix, p); err != nil || dryRun {
		return err
	}
	if after, err := l.readFile(indexFile, maxIndex); err != nil || !bytes.Equal(before, after) {
		return cmp.Or(err, errors.New("another tool has changed index.json meanwhile"))
	}
	if err := l.writeIndex(ix, before); err != nil {
		return err
	}
	return l.removeAll(ctx, p)
}

// writeIndex writes index.json without what is no longer listed.
func (l *layout) writeIndex(ix *index, before []byte) error {
	after, err := ix.bytes()
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	st, err := newStaging(l.root)
	if err != nil {
		return err
	}
	defer st.close()
	return st.replace(indexFile, after)
}

func (l *layout) removeAll(ctx context.Context, p *Pruned) error {
	for _, dir := range p.Litter {
		removeStaging(l.root, dir.Name, false)
	}
	for _, b := range p.Blobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.root.Remove(b.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return syncDir(l.root, blobDir)
}

// litter returns the staging directories of processes that are gone. One that is in use is an error.
func (l *layout) litter() (list []Pruning, err error) {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	for _, e := range entries {
		random, ok := strings.CutPrefix(e.Name(), stagingPrefix)
		if !ok || !isRandom(random) || !e.IsDir() {
			continue
		}
		if _, err := l.root.Lstat(path.Join(e.Name(), stagingLock)); err != nil {
			continue // not ours
		}
		if !abandoned(l.root, e.Name()) {
			return nil, fmt.Errorf("a goferry is writing there, in %s", e.Name())
		}
		files, err := fs.ReadDir(l.root.FS(), e.Name())
		if err != nil {
			return nil, err
		}
		dir, young := Pruning{Name: e.Name()}, false
		for _, f := range files {
			if info, err := f.Info(); err == nil {
				dir.Size += info.Size()
				young = young || time.Since(info.ModTime()) < youngAge // a copy that was cut goes on with it
			}
		}
		if !young {
			list = append(list, dir)
		}
	}
	return list, err
}

// reached returns what has to stay because something leads to it from index.json, out of the blobs that are there.
func (l *layout) reached(ctx context.Context, ix *index, blobs []fs.DirEntry) (*mentions, error) {
	if len(ix.Manifests) == 0 {
		return nil, errors.New("nothing is tagged there: if nothing of it is wanted, remove the directory")
	}
	if err := l.noOtherBlobs(); err != nil {
		return nil, err
	}
	w := &walker{src: l, sizes: map[digest.Digest]int64{}}
	if err := w.walkIndex(ctx, ix); err != nil {
		return nil, fmt.Errorf("what it leads to is not known: %w", err)
	}
	m := &mentions{layout: l, seen: map[digest.Digest]bool{}}
	if err := m.list(ctx, ix); err != nil {
		return nil, err
	}
	if err := m.unlisted(blobs); err != nil {
		return nil, err
	}
	return m, m.settle(ctx)
}

// noOtherBlobs refuses a layout with blobs under other digests than SHA-256: what they lead to is not known.
func (l *layout) noOtherBlobs() error {
	entries, err := fs.ReadDir(l.root.FS(), path.Dir(blobDir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != path.Base(blobDir) {
			return fmt.Errorf("blobs/%s is not known to goferry: what it leads to might be removed", e.Name())
		}
	}
	return nil
}

// unreached sorts out what does not stay, and drops it from ix.
func (l *layout) unreached(ctx context.Context, ix *index, p *Pruned) error {
	blobs, err := fs.ReadDir(l.root.FS(), blobDir)
	if err != nil {
		return err
	}
	blobs = slices.DeleteFunc(blobs, func(e fs.DirEntry) bool {
		return !e.Type().IsRegular() || !validDigest(digest.Digest("sha256:"+e.Name()))
	})
	kept, err := l.reached(ctx, ix, blobs)
	if err != nil {
		return err
	}
	ix.Manifests = slices.DeleteFunc(ix.Manifests, func(e ocispec.Descriptor) bool {
		if kept.seen[e.Digest] {
			return false
		}
		p.Tags = append(p.Tags, cmp.Or(tagOf(e), string(e.Digest)))
		return true
	})
	p.Young = kept.young
	for _, e := range blobs {
		if kept.seen[digest.Digest("sha256:"+e.Name())] {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if time.Since(info.ModTime()) < youngAge {
			p.Young++
			continue
		}
		p.Blobs = append(p.Blobs, Pruning{path.Join(blobDir, e.Name()), info.Size()})
	}
	return nil
}
