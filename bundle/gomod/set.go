package gomod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
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

	goVersion string // highest that a main module asks for, as "go1.26"
}

func newSet() *set {
	return &set{
		built: map[module.Version]bool{}, zips: map[module.Version]bool{},
		mods: map[module.Version]bool{}, infos: map[module.Version]bool{},
	}
}

// captureModules goes through the projects and the extra modules of opts.
func (g *goCommand) captureModules(ctx context.Context, c *Captured, opts Options) (*set, error) {
	s := newSet()
	mains, spaces, err := g.findProjects(ctx, opts.Dirs, c)
	if err != nil {
		return nil, err
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

// A round is one go command for one main module.
type round struct {
	g       *goCommand
	main    mainModule
	modfile string // a copy of the main module's go.mod, with go.sum beside it
	set     *set
}

// run runs "go verb… -modfile=… flags…" on a fresh copy of go.mod.
func (r round) run(ctx context.Context, verb []string, flags ...string) (output, error) {
	if err := writeNew(r.modfile, r.main.file); err != nil {
		return output{}, err
	}
	args := append(verb, "-modfile="+r.modfile)
	return r.g.module(ctx, r.main.dir, append(args, flags...)...)
}

func (r round) sumFile() string { return strings.TrimSuffix(r.modfile, ".mod") + ".sum" }

// download takes what "go mod download" says the packages are built from.
func (r round) download(ctx context.Context) error {
	out, err := r.run(ctx, []string{"mod", "download"}, "-json")
	found, failed, err := downloads(out, err)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return joinErrors(failed)
	}
	r.set.add(r.set.built, found...)
	r.set.add(r.set.zips, found...)
	changed, err := os.ReadFile(r.modfile)
	if err != nil {
		return err
	}
	return errors.Join(r.set.raise(r.modfile, changed), r.set.addWritten(r.sumFile()))
}

// downloadAll takes what is left of the module graph, if it can be had.
func (r round) downloadAll(ctx context.Context) error {
	out, err := r.run(ctx, []string{"mod", "download"}, "-json", "all")
	found, failed, err := downloads(out, err)
	if err != nil {
		return err
	}
	for _, e := range failed {
		if errors.Is(e, ErrNetwork) {
			return e
		}
		r.g.warn("not captured: " + e.Error())
	}
	r.set.add(r.set.zips, found...)
	return r.set.addWritten(r.sumFile())
}

// tidy takes what the tests of dependencies need. An untidy project is
// captured both as it is and as tidy would have it.
func (r round) tidy(ctx context.Context) error {
	out, err := r.run(ctx, []string{"mod", "tidy"}, "-e")
	if err != nil {
		return err
	}
	for _, complaint := range complaints(out.lines) {
		// A set that depends on the network's mood is no set.
		if errors.Is(classify(complaint), ErrNetwork) {
			return newCommandError([]string{"mod", "tidy"}, []string{complaint})
		}
		r.g.warn(r.main.name + ": " + oneLine(strings.TrimPrefix(complaint, "go: ")))
	}
	return r.set.addWritten(r.sumFile())
}

// complaints joins the lines of standard error to one for each complaint.
func complaints(lines []string) []string {
	var all []string
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "go: finding "), strings.HasPrefix(line, "go: found "),
			strings.HasSuffix(line, "matched no packages"):
		case strings.HasPrefix(line, "\t") && len(all) > 0:
			all[len(all)-1] += line
		default:
			all = append(all, line)
		}
	}
	return all
}

// list takes the .info of every module that version selection arrives at.
//
// Given the go.sum of the other rounds and told to add nothing to it, go list
// shows that their .mod files are enough. On its own it would read the .mod
// of each module as well, twice as many, only to print its go line. An untidy
// project may need that.
func (r round) list(ctx context.Context, others ...round) error {
	var sums []byte
	for _, o := range others {
		data, err := readOptional(o.sumFile())
		if err != nil {
			return err
		}
		sums = append(sums, data...)
	}
	if err := writeNew(r.sumFile(), sums); err != nil {
		return err
	}
	out, err := r.run(ctx, []string{"list", "-m"}, "-e", "-mod=readonly", "-json", "all")
	if err != nil || bytes.Contains(out.stdout, []byte("missing go.sum entry")) {
		out, err = r.run(ctx, []string{"list", "-m"}, "-e", "-json", "all")
	}
	if err == nil {
		err = r.set.addList(r.g, out)
	}
	if err != nil {
		return err
	}
	return r.set.addWritten(r.sumFile())
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

// raise takes the go and toolchain lines of a go.mod file into account.
func (s *set) raise(name string, data []byte) error {
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return err
	}
	s.raiseLines(f.Go, f.Toolchain)
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

// downloads sorts what "go mod download -json" printed. Modules that it could
// not get explain its exit status, so that err remains only without them.
func downloads(out output, err error) (found []module.Version, failed []*ModuleError, _ error) {
	results, jsonErr := decodeStream[struct{ Path, Version, Query, Error string }](out.stdout)
	if jsonErr != nil {
		return nil, nil, fmt.Errorf("go mod download -json: %w", jsonErr)
	}
	for _, r := range results {
		if r.Error != "" {
			failed = append(failed, &ModuleError{r.Path, orQuery(r.Version, r.Query), r.Error})
			continue
		}
		found = append(found, module.Version{Path: r.Path, Version: r.Version})
	}
	if err != nil && len(failed) == 0 {
		return nil, nil, err
	}
	return found, failed, nil
}

func orQuery(version, query string) string {
	if version == "" {
		return query
	}
	return version
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
