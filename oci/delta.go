package oci

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Annotations of an entry in index.json of which some blobs are left out.
const (
	annotationBase      = "dev.goferry.base"       // digests of what it builds on, with commas between them
	annotationBaseBlobs = "dev.goferry.base.blobs" // how many blobs are left out
	annotationBaseBytes = "dev.goferry.base.bytes" // and how large they are together
)

const maxBaseRoots = 64 // that an entry names: it is for people

// Base is what is at another place already, and is left out of a copy that goes there.
type Base struct {
	Roots []digest.Digest         // indexes or manifests that are there whole, by which people know what it is
	Blobs map[digest.Digest]int64 // sizes
}

// has reports whether a blob can be left out.
func (b *Base) has(desc ocispec.Descriptor) bool {
	if b == nil {
		return false
	}
	size, ok := b.Blobs[desc.Digest]
	return ok && size == desc.Size
}

// Delta is an entry in index.json of which blobs are left out. What it builds on anybody can have written: it is for
// people, and proves neither that blobs are missing nor that they are not.
type Delta struct {
	Base  []digest.Digest `json:"base"`  // of what it builds on
	Blobs int64           `json:"blobs"` // that are not there
	Bytes int64           `json:"bytes"` // likewise
}

// FindDelta returns what target in a layout or an archive is a delta of; nil if nothing says that it is one, or if all
// blobs are there by now.
func FindDelta(ctx context.Context, s Store, target string) (*Delta, error) {
	var ix *index
	var err error
	switch s := s.(type) {
	case overlay:
		return FindDelta(ctx, s.Store, target)
	case *layout:
		ix, err = s.readIndex()
	case *archive:
		ix = s.index
	case *volumes:
		ix = s.index
	}
	if err != nil || ix == nil {
		return nil, err
	}
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	for _, e := range ix.Manifests {
		if d := deltaOf(e.Annotations); d != nil && e.Digest == desc.Digest && (tagOf(e) == target || target == "" || target == string(e.Digest)) {
			return d.count(ctx, s, desc)
		}
	}
	return nil, nil
}

// count replaces what was left out by what is not there.
func (d *Delta) count(ctx context.Context, s Store, root ocispec.Descriptor) (*Delta, error) {
	g, err := Walk(ctx, s, root)
	if err != nil {
		return d, ctx.Err() // who reads the documents says what is wrong with them
	}
	lacking := Lacking(s, g.Blobs)
	if len(lacking) == 0 {
		return nil, nil
	}
	d.Blobs, d.Bytes = int64(len(lacking)), 0
	for _, desc := range lacking {
		d.Bytes += desc.Size
	}
	return d, nil
}

// deltaOf reads what a delta's entry says. What is malformed is as good as not said.
func deltaOf(annotations map[string]string) *Delta {
	blobs, err := strconv.ParseUint(annotations[annotationBaseBlobs], 10, 32)
	if err != nil {
		return nil
	}
	bytes, err := strconv.ParseUint(annotations[annotationBaseBytes], 10, 63)
	if err != nil {
		return nil
	}
	d := &Delta{Blobs: int64(blobs), Bytes: int64(bytes)}
	for word := range strings.SplitSeq(annotations[annotationBase], ",") {
		if root := digest.Digest(word); validDigest(root) && len(d.Base) < maxBaseRoots {
			d.Base = append(d.Base, root)
		}
	}
	return d
}

// annotate gives an entry what says that blobs of it are left out, and takes it away where none are.
func (d *Delta) annotate(entry map[string]string) {
	maps.DeleteFunc(entry, func(key, _ string) bool {
		return key == annotationBase || strings.HasPrefix(key, annotationBase+".")
	})
	if d == nil {
		return
	}
	var roots []string
	for _, root := range d.Base {
		roots = append(roots, string(root))
	}
	entry[annotationBase] = strings.Join(roots, ",")
	entry[annotationBaseBlobs] = strconv.FormatInt(d.Blobs, 10)
	entry[annotationBaseBytes] = strconv.FormatInt(d.Bytes, 10)
}

// leave takes the blobs that the base has out of g. Configs, and what belongs to signatures and other referrers, stay:
// without them nobody could say what the delta is, and whose.
func (b *Base) leave(g *Graph) (left []ocispec.Descriptor) {
	g.Blobs = slices.DeleteFunc(slices.Clone(g.Blobs), func(desc ocispec.Descriptor) bool {
		out := b.has(desc) && !g.small[desc.Digest]
		if out {
			left = append(left, desc)
		}
		return out
	})
	return left
}

// delta is what the entry says where blobs were left out.
func (b *Base) delta(left []ocispec.Descriptor) *Delta {
	if len(left) == 0 {
		return nil
	}
	d := &Delta{Base: slices.Clone(b.Roots), Blobs: int64(len(left))}
	slices.Sort(d.Base)
	d.Base = slices.Compact(d.Base)
	d.Base = d.Base[:min(len(d.Base), maxBaseRoots)]
	for _, desc := range left {
		d.Bytes += desc.Size
	}
	return d
}
