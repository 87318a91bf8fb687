package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A place is a source and what it was found to have. What is served changes only by keep.
type place struct {
	Source
	repository string

	store   *sharedStore
	entries []entry
	read    state // that entries are of

	seen    state     // at the last look
	settled bool      // it was there at the last look, and the same as before
	renewed bool      // it was not there for a while: nothing is known of the blobs that are there now
	next    time.Time // of a look, for a registry

	complaint string // that was told last of looking
	refusal   string // that was told last of bundles that are left out
}

// An entry is a bundle of a place, with its documents.
type entry struct {
	served
	verified *bundle.Verified
	graph    *oci.Graph
}

// A state tells whether a place has changed, without reading it.
type state struct {
	dir    os.FileInfo   // of a layout
	file   os.FileInfo   // index.json of a layout, or an archive
	digest digest.Digest // of a registry's tag; "": it is not there
}

func (s state) equal(other state) bool {
	return s.digest == other.digest && sameFile(s.dir, other.dir) && sameContent(s.file, other.file)
}

func sameFile(a, b os.FileInfo) bool {
	return a == nil && b == nil || a != nil && b != nil && os.SameFile(a, b)
}

func sameContent(a, b os.FileInfo) bool {
	return sameFile(a, b) && (a == nil || a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()))
}

// samePlace says whether a store that was opened in one state still is the one in the other.
func (s state) samePlace(other state) bool {
	if s.dir != nil || other.dir != nil {
		return sameFile(s.dir, other.dir)
	}
	return sameContent(s.file, other.file)
}

func newPlace(src Source) (*place, error) {
	repository, err := src.repository()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.Name, err)
	}
	return &place{Source: src, repository: repository}, nil
}

// changed says whether the place has something else than what is served.
func (p *place) changed() bool { return p.settled && (p.renewed || !p.seen.equal(p.read)) }

// keep makes a draft what is served.
func (p *place) keep(d draft) {
	if d.store == p.store {
		d.store.release()
	} else {
		p.close()
	}
	p.store, p.entries, p.read, p.renewed = d.store, d.entries, d.state, false
}

func (p *place) close() {
	if p.store != nil {
		p.store.release()
		p.store = nil
	}
}

// look returns the state of the place. A registry is asked, through store, for what its tag is.
func (p *place) look(ctx context.Context, store oci.Store) (s state, err error) {
	switch p.Reference.Transport {
	case oci.TransportLayout:
		dir := p.Reference.Path
		if volumes := oci.VolumeDirs(dir); volumes != nil {
			dir = volumes[0] // all have the same
		}
		if s.dir, err = os.Stat(dir); err == nil {
			s.file, err = os.Stat(filepath.Join(dir, "index.json"))
		}
	case oci.TransportArchive:
		s.file, err = os.Stat(p.Reference.Path)
	default:
		var targets []target
		if targets, err = p.targets(ctx, store); err != nil {
			return s, err
		}
		desc, err := store.Resolve(ctx, targets[0].ref)
		if errors.Is(err, oci.ErrNotFound) {
			err = nil
		}
		return state{digest: desc.Digest}, err
	}
	return s, err
}
