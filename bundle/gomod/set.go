package gomod

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"
)

// A set grows to what all main modules together need.
type set struct {
	mu    sync.Mutex
	built map[module.Version]bool // zips that "go mod download" names
	zips  map[module.Version]bool
	mods  map[module.Version]bool // .mod files
	infos map[module.Version]bool // .info files

	extra []module.Version // what the extra modules came to

	mains []mainModule          // that were captured, the extra modules included
	cgo   map[string][]Platform // packages that are built with a C compiler

	goVersion string // highest that a main module asks for, as "go1.26"

	// unsettled says that the answer may be another tomorrow, from the same
	// files: a version was looked up, or something could not be had.
	unsettled bool
}

func newSet() *set {
	return &set{
		built: map[module.Version]bool{}, zips: map[module.Version]bool{},
		mods: map[module.Version]bool{}, infos: map[module.Version]bool{}, cgo: map[string][]Platform{},
	}
}

// captureModules goes through the projects and the extra modules of opts.
func (g *goCommand) captureModules(ctx context.Context, mains []mainModule, spaces []workspace, opts Options) (*set, error) {
	s := newSet()
	mains = slices.Clone(mains) // of which the user's own text is remembered
	for i := range spaces {
		if err := g.meetMembers(ctx, &spaces[i], mains, s); err != nil {
			return nil, err
		}
	}
	for _, m := range opts.Modules {
		main, err := g.extraModule(ctx, m, s)
		if err != nil {
			return nil, err
		}
		if main.file != nil {
			mains = append(mains, main)
		}
	}
	s.mains = mains
	for i, m := range mains {
		g.progress(Event{Phase: "resolve", Module: m.name})
		if err := g.captureMain(ctx, m, fmt.Sprintf("main%d", i), opts.Scope, s); err != nil {
			return nil, err
		}
	}
	for i, w := range spaces {
		g.progress(Event{Phase: "resolve", Module: w.file})
		if err := g.captureWorkspace(ctx, w, fmt.Sprintf("work%d", i), opts.Scope, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// captureMain adds to s what one main module needs. The go commands run side
// by side, each with a go.mod of its own; list waits for the sums of the others.
func (g *goCommand) captureMain(ctx context.Context, m mainModule, name string, scope Scope, s *set) error {
	f, err := modfile.Parse(m.name+"/go.mod", m.file, nil)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	s.raiseLines(f.Go, f.Toolchain)
	s.addRequired(f)
	start := func(step string) round {
		return round{g: g, main: m, modfile: g.path(name, step, "go.mod"), set: s}
	}
	download, tidy := start("download"), start("tidy")
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return download.download(groupCtx) })
	if scope != Build {
		group.Go(func() error { return tidy.tidy(groupCtx) })
	}
	if scope == All {
		group.Go(func() error { return start("all").downloadAll(groupCtx) })
	}
	err = group.Wait()
	if err == nil && scope != Build {
		err = start("list").list(ctx, download, tidy)
	}
	if err != nil {
		return fmt.Errorf("capture %s: %w", m.name, err)
	}
	return nil
}

// addList adds what "go list -m -e -json" printed.
func (s *set) addList(g *goCommand, out output) error {
	type listed struct {
		Path, Version string
		Main          bool
		Replace       *struct{ Path, Version string }
		Error         *struct{ Err string }
	}
	all, err := decodeStream[listed](out.stdout)
	if err != nil {
		return fmt.Errorf("go list -m -json: %w", err)
	}
	for _, l := range all {
		m := module.Version{Path: l.Path, Version: l.Version}
		if l.Replace != nil {
			m = module.Version{Path: l.Replace.Path, Version: l.Replace.Version}
		}
		switch {
		case l.Main || m.Version == "":
		case l.Error != nil:
			e := &ModuleError{m.Path, m.Version, l.Error.Err}
			if errors.Is(e, ErrNetwork) {
				return e
			}
			g.warn("not captured: " + e.Error())
			s.unsettle()
		default:
			s.add(s.infos, m)
		}
	}
	return nil
}

// addRequired adds the .mod files of the versions that go.mod names: where it
// is untidy, the go command reads those before it selects others.
func (s *set) addRequired(f *modfile.File) {
	aside := map[module.Version]bool{} // replaced or excluded
	for _, r := range f.Replace {
		aside[r.Old] = true
	}
	for _, e := range f.Exclude {
		aside[e.Mod] = true
	}
	for _, r := range f.Require {
		if !aside[r.Mod] && !aside[module.Version{Path: r.Mod.Path}] {
			s.add(s.mods, r.Mod)
		}
	}
}

func (s *set) add(to map[module.Version]bool, mods ...module.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range mods {
		to[m] = true
	}
}

func (s *set) unsettle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsettled = true
}

// addWritten adds what the go command wrote to the go.sum file name.
func (s *set) addWritten(name string) error {
	data, err := readOptional(name)
	if err != nil {
		return err
	}
	sums, err := parseSums(name, data)
	if err != nil {
		return err
	}
	for m := range sums {
		if m.Path == toolchainPath {
			continue
		}
		if v, ok := strings.CutSuffix(m.Version, "/go.mod"); ok {
			s.add(s.mods, module.Version{Path: m.Path, Version: v})
		} else {
			s.add(s.zips, m)
		}
	}
	return nil
}

// raise takes the go and toolchain lines into account that the go command has
// written to a go.mod file.
func (s *set) raise(name string, data []byte) error {
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return err
	}
	before := s.goVersion
	s.raiseLines(f.Go, f.Toolchain)
	if s.goVersion != before {
		s.unsettle() // the go command may have looked for the newest
	}
	return nil
}

func (s *set) raiseLines(goLine *modfile.Go, toolchain *modfile.Toolchain) {
	if goLine != nil {
		s.raiseTo("go" + goLine.Version)
	}
	if toolchain != nil {
		s.raiseTo(toolchain.Name)
	}
}

// raiseTo passes over "default", and whatever else is no version.
func (s *set) raiseTo(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version.IsValid(v) && version.Compare(v, s.goVersion) > 0 {
		s.goVersion = v
	}
}

func joinErrors(failed []*ModuleError) error {
	errs := make([]error, len(failed))
	for i, e := range failed {
		errs[i] = e
	}
	return errors.Join(errs...)
}

func writeNew(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}
