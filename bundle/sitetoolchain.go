package bundle

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
)

// A givenBack is the zip of a GOROOT layer. It is made when it is first asked for, and kept in a temporary
// file, which goes with the last site that has it.
type givenBack struct {
	layer siteLayer
	lock  chan struct{} // has one element while nobody holds it
	file  *spool        // nil: not made
	size  atomic.Int64  // -1: not made
}

// giveBack returns the zip of a GOROOT layer, the same as in previous.
func (s *Site) giveBack(l siteLayer, previous *Site) SiteFile {
	var z *givenBack
	if previous != nil {
		z = previous.given[l.key()]
	}
	if z == nil {
		z = &givenBack{layer: l, lock: make(chan struct{}, 1)}
		z.lock <- struct{}{}
		z.size.Store(-1)
	}
	s.given[l.key()] = z
	return SiteFile{Size: -1, ETag: l.desc.Digest.Encoded()[:32] + "-zip", Immutable: true, open: z.open, given: z}
}

// open returns the zip for one reader. Many who ask at once wait for the first.
func (z *givenBack) open(ctx context.Context) (io.ReadSeekCloser, error) {
	select {
	case <-z.lock:
		defer func() { z.lock <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if z.file == nil {
		if err := z.make(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", layerName(z.layer.desc), err)
		}
	}
	return sectionCloser(z.file, z.size.Load(), nil), nil
}

func (z *givenBack) make(ctx context.Context) error {
	f, err := newSpool(z.layer.desc.Size / 2) // stored files are larger in the layer than in the zip
	if err != nil {
		return err
	}
	size := int64(0)
	err = z.layer.v.writeToolchainZip(ctx, z.layer.desc, f)
	if err == nil {
		size, err = f.Seek(0, io.SeekCurrent)
	}
	if err != nil {
		f.Close()
		return err
	}
	z.file = &f
	z.size.Store(size)
	return nil
}
