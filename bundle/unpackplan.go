package bundle

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// An UnpackPlan is what [Unpack] would change.
type UnpackPlan struct {
	Dir     string `json:"dir"` // absolute
	Changed bool   `json:"changed"`

	Before     []UnpackedBundle `json:"before"` // what the directory has; none: it is not there, or does not say
	After      []UnpackedBundle `json:"after"`
	Modules    []Change         `json:"modules"`            // as of Difference
	Toolchains []Change         `json:"toolchains"`         // likewise
	Tools      []Change         `json:"tools"`              // likewise
	Problems   []FileProblem    `json:"problems,omitempty"` // files that would be put right, or removed; sorted
	Layers     int              `json:"layers"`             // that would be read from the bundles
	Bytes      int64            `json:"bytes"`              // of these
}

// PlanUnpack finds out what [Unpack] would change, with the same demands, and writes nothing. Every file of the directory
// is read. Of the bundles it reads no layers but the graphs: that those are right shows when they are unpacked.
func PlanUnpack(ctx context.Context, bundles []SiteBundle, dir string, opts UnpackOptions) (*UnpackPlan, error) {
	u, err := newUnpacker(bundles, opts)
	if err != nil {
		return nil, err
	}
	t, err := viewTree(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		t, err = absentTree(dir)
	}
	if err != nil {
		return nil, err
	}
	defer t.close()
	g, err := t.next()
	if err != nil {
		return nil, err
	}
	defer g.close()
	u.tree = t
	defer u.close()
	if err := u.prepare(ctx, g); err != nil {
		return nil, err
	}
	return u.plan(ctx, g)
}

// absentTree stands for a directory that Unpack would make.
func absentTree(dir string) (*tree, error) {
	abs, err := filepath.Abs(dir)
	return &tree{dir: abs}, err
}

func (u *unpacker) plan(ctx context.Context, g *generation) (*UnpackPlan, error) {
	same, err := u.same(ctx, g)
	if err != nil {
		return nil, err
	}
	d := Diff(listState(&g.before), u.listing())
	p := &UnpackPlan{
		Dir: u.tree.dir, Changed: !same, Before: g.before.Bundles, After: u.result.Bundles,
		Modules: d.Modules, Toolchains: d.Toolchains, Tools: d.Tools,
	}
	if same {
		return p, nil
	}
	if err := u.checkRoom(ctx); err != nil {
		return nil, err
	}
	for _, l := range u.blobs() {
		if len(u.wanted(l)) > 0 {
			p.Layers++
			p.Bytes += l.desc.Size
		}
	}
	for name := range u.layers {
		p.Problems = append(p.Problems, u.damage[name]...)
	}
	if u.sameAsked(g) { // else what is made of them is another anyway
		faults, err := u.faults(ctx, g, u.tree.dir)
		if err != nil {
			return nil, err
		}
		p.Problems = append(p.Problems, faults...)
	}
	sortProblems(p.Problems)
	return p, nil
}

// listing lists the layers that are chosen.
func (u *unpacker) listing() *Listing {
	list := newListing()
	for name, l := range u.layers {
		list.addNamed(u.opts.Platform.String(), name, l.desc.Annotations[AnnotationSum], l.desc.Digest)
	}
	return list
}

// listState lists the layers that were unpacked.
func listState(was *state) *Listing {
	list := newListing()
	for d, l := range was.Layers {
		list.addNamed(was.Platform, l.Name, l.Sum, d)
	}
	return list
}
