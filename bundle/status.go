package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci"
)

// Status is what a directory that [Unpack] made says it has, and where that was asked, whether it is so.
type Status struct {
	Dir        string           `json:"dir"`                // absolute
	Generation string           `json:"generation"`         // the current one
	Previous   string           `json:"previous,omitempty"` // the one that Rollback makes current
	Platform   string           `json:"platform"`
	Extracted  bool             `json:"extracted,omitempty"`
	Bundles    []UnpackedBundle `json:"bundles"`
	Toolchains []string         `json:"toolchains"` // Go versions, GOROOT's first
	Tools      []string         `json:"tools"`      // "package@version"
	Modules    int              `json:"modules"`
	Files      int              `json:"files"`
	Checked    bool             `json:"checked"`            // every file was read
	Problems   []FileProblem    `json:"problems,omitempty"` // those that are not what was verified; sorted
}

// ReadStatus says what a directory has. With check every file is proven to be what was unpacked from the bundles that
// the directory says it has: by their digests, so who keeps these elsewhere knows that nobody has put something else in
// their place. Nothing is written.
func ReadStatus(ctx context.Context, dir string, check bool, progress func(Event)) (*Status, error) {
	t, err := viewTree(ctx, dir)
	if err != nil {
		return nil, notUnpacked(dir, err)
	}
	defer t.close()
	if t.target(linkCurrent) == "" {
		return nil, notUnpacked(dir, nil)
	}
	for {
		s, err := t.status(ctx, t.target(linkCurrent), check, reporter(progress))
		if s != nil && t.target(linkCurrent) != s.Generation && ctx.Err() == nil {
			continue // another has become current, and this one may be gone
		}
		return s, err
	}
}

// status is that of one generation.
func (t *tree) status(ctx context.Context, generation string, check bool, report func(Event)) (*Status, error) {
	g, err := t.after(generation)
	if err != nil {
		return nil, err
	}
	defer g.close()
	b := &g.before
	s := &Status{
		Dir: t.dir, Generation: generation, Previous: t.earlier(), Platform: b.Platform, Extracted: b.Extract,
		Bundles: b.Bundles, Toolchains: []string{}, Tools: []string{}, Files: len(b.Common) + 1, Checked: check,
	}
	s.count(b)
	switch {
	case len(b.Bundles) == 0:
		s.Problems = []FileProblem{g.noState()}
	case check:
		err = s.check(ctx, t, g, report)
		sortProblems(s.Problems)
	}
	return s, err
}

// noState is why nothing is known of a generation.
func (g *generation) noState() FileProblem {
	p := FileProblem{File: genState, Problem: FileMissing, Error: "it is not there"}
	if g.was == nil {
		return p
	}
	if _, err := g.was.Lstat(genState); !errors.Is(err, fs.ErrNotExist) {
		p.Problem, p.Error = FileDamaged, "it does not say what was unpacked"
	}
	return p
}

// count counts what was unpacked.
func (s *Status) count(was *state) {
	goroot := ""
	for _, l := range was.Layers {
		s.Files += len(l.Files)
		path, version, _ := strings.Cut(l.Name, "@")
		tool, isTool := strings.CutPrefix(l.Name, "tool ")
		switch {
		case isTool:
			s.Tools = append(s.Tools, tool)
		case path == toolchainPath:
			v, _, _, err := toolchain.ParseVersion(version)
			if err != nil {
				v = version
			}
			if s.Toolchains = append(s.Toolchains, v); l.GOROOT {
				goroot = v
			}
		default:
			s.Modules++
		}
	}
	slices.Sort(s.Tools)
	slices.SortFunc(s.Toolchains, func(a, b string) int {
		switch goroot {
		case a:
			return -1
		case b:
			return 1
		}
		return strings.Compare(b, a)
	})
}

// check proves every file.
func (s *Status) check(ctx context.Context, t *tree, g *generation, report func(Event)) error {
	u, err := openRoot(ctx, t, g, nil, report)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.look(g, err)
		return nil
	}
	defer u.close()
	if err := u.findLinks(ctx, g); err != nil {
		return err
	}
	s.Problems = append(s.Problems, u.untrue(g)...)
	for name := range u.layers {
		if u.links[name] == nil && u.damage[name] == nil {
			s.Problems = append(s.Problems, FileProblem{genState, name, FileDamaged, "it does not say that this was unpacked"})
		}
		s.Problems = append(s.Problems, u.damage[name]...)
	}
	if len(s.Problems) == 0 {
		if err := u.checkGraphs(); err != nil {
			return err
		}
	}
	faults, err := u.faults(ctx, g, g.settingsDir())
	s.Problems = append(s.Problems, faults...)
	return err
}

// untrue is what the generation says of itself and the documents of its bundles do not.
func (u *unpacker) untrue(g *generation) (problems []FileProblem) {
	untrue := func(what, text string) {
		problems = append(problems, FileProblem{genState, what, FileDamaged, text})
	}
	if len(u.bundles) != len(g.before.Bundles) {
		untrue("", "it names a bundle twice")
	}
	for i, b := range u.bundles {
		said, is := g.before.Bundles[i], unpackedBundle(b)
		if said.Digest == is.Digest && !said.callsAs(is) {
			untrue("", fmt.Sprintf("it calls %s %q, which calls itself %q", is.Digest, said.Title+" "+said.Version, is.Title+" "+is.Version))
		}
	}
	for d, l := range g.before.Layers {
		if is, ok := u.layers[l.Name]; !ok || is.desc.Digest != d {
			untrue(l.Name, "it says that this was unpacked, and no bundle has it")
		}
	}
	return problems
}

// look is all that can be done where what was kept of the bundles cannot prove anything.
func (s *Status) look(g *generation, cause error) {
	p := FileProblem{genBundles, "", FileDamaged, cause.Error()}
	if errors.Is(cause, fs.ErrNotExist) || errors.Is(cause, oci.ErrNotFound) {
		p.Problem = FileMissing
	}
	s.Problems = append(s.Problems, p)
	for _, files := range append([]stateLayer{{Files: g.before.Common}}, slices.Collect(maps.Values(g.before.Layers))...) {
		for _, f := range files.Files {
			if p := lookAt(g.was, f); p != nil {
				p.Module = files.Name
				s.Problems = append(s.Problems, *p)
			}
		}
	}
}

// Err is [ErrMismatch] if a file is damaged or foreign, and else [ErrIncomplete] if one is missing.
func (s *Status) Err() error {
	counts := make(map[string]int)
	for _, p := range s.Problems {
		counts[p.Problem]++
	}
	var said []string
	for _, problem := range []string{FileDamaged, FileMissing, FileForeign} {
		if n := counts[problem]; n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, problem))
		}
	}
	switch {
	case len(said) == 0:
		return nil
	case counts[FileMissing] == len(s.Problems):
		return fmt.Errorf("%s: %w: files: %s", s.Dir, ErrIncomplete, strings.Join(said, ", "))
	}
	return fmt.Errorf("%s: %w: files: %s", s.Dir, ErrMismatch, strings.Join(said, ", "))
}
