package gomod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// captureWorkspace adds to s what the workspace as a whole selects. The go
// command runs in a copy of it, whose members are go.mod files and no more:
// it reads no packages, and in the user's own it would trust, and write,
// the go.sum files.
func (g *goCommand) captureWorkspace(ctx context.Context, w workspace, name string, scope Scope, s *set) error {
	s.raiseLines(w.work.Go, w.work.Toolchain)
	work, required, err := g.copyWorkspace(w, name)
	if err != nil {
		return err
	}
	if err := g.downloadWorkspace(ctx, work, required, s); err != nil {
		return fmt.Errorf("capture %s: %w", w.file, err)
	}
	if scope != Build {
		out, err := g.workspace(ctx, work, "list", "-m", "-e", "-json", "all")
		if err == nil {
			err = s.addList(g, out)
		}
		if err != nil {
			return fmt.Errorf("capture %s: %w", w.file, err)
		}
	}
	return s.addWritten(work + ".sum")
}

// meetMembers lets the go commands that look at one member alone find the others where they are, as the workspace does.
// Nobody is asked for a member that another imports without a requirement, or requires in a version that nobody has;
// one in a version that can be had is what is built without the workspace, and stays.
func (g *goCommand) meetMembers(ctx context.Context, w *workspace, mains []mainModule, s *set) error {
	w.absent = map[module.Version]string{}
	for i, m := range mains {
		if !slices.Contains(w.members, m.dir) {
			continue
		}
		f, err := modfile.Parse(filepath.Join(m.dir, "go.mod"), m.file, nil)
		if err != nil {
			return fmt.Errorf("capture: %w", err)
		}
		for _, other := range mains {
			if other.dir == m.dir || !slices.Contains(w.members, other.dir) || replaces(f, other.name) {
				continue
			}
			if required, ok := requires(f, other.name); ok {
				if g.canBeHad(ctx, m, required, s) {
					continue
				}
				w.absent[required] = other.dir
			}
			if err := f.AddReplace(other.name, "", filepath.ToSlash(other.dir), ""); err != nil {
				return fmt.Errorf("capture %s: %w", m.name, err)
			}
		}
		if mains[i].file, err = f.Format(); err != nil {
			return fmt.Errorf("capture %s: %w", m.name, err)
		}
	}
	return nil
}

func replaces(f *modfile.File, path string) bool {
	return slices.ContainsFunc(f.Replace, func(r *modfile.Replace) bool { return r.Old.Path == path })
}

func requires(f *modfile.File, path string) (module.Version, bool) {
	for _, r := range f.Require {
		if r.Mod.Path == path {
			return r.Mod, true
		}
	}
	return module.Version{}, false
}

// canBeHad reports whether the version of another member that m requires is published, and tells if it is not.
func (g *goCommand) canBeHad(ctx context.Context, m mainModule, required module.Version, s *set) bool {
	if slices.Contains(placeholders, required.Version) {
		return false
	}
	_, err := g.download(ctx, required.String())
	if err != nil {
		s.unsettle()
		g.warn(fmt.Sprintf("%s can be built in its workspace alone: not captured: %v", m.name, err))
	}
	return err == nil
}

// placeholders are the versions that stand in go.mod for what the go command is to find in a directory.
var placeholders = []string{"v0.0.0", "v0.0.0-00010101000000-000000000000"}

// downloadWorkspace runs "go mod download", which in a workspace means all. A
// module that no member requires cannot be needed to build, so the capture
// goes on without it.
func (g *goCommand) downloadWorkspace(ctx context.Context, work string, required map[string]bool, s *set) error {
	out, err := g.workspace(ctx, work, "mod", "download", "-json")
	found, failed, err := downloads(out, err)
	if err != nil {
		return err
	}
	for _, e := range failed {
		if required[e.Path] || errors.Is(e, ErrNetwork) {
			return e
		}
		g.warn("not captured: " + e.Error())
		s.unsettle()
	}
	s.add(s.built, found...)
	s.add(s.zips, found...)
	return nil
}

// copyWorkspace writes the copy below the scratch directory and returns its
// go.work file and the paths that its members require, after replacement.
func (g *goCommand) copyWorkspace(w workspace, name string) (work string, required map[string]bool, err error) {
	f := w.work
	fresh := &modfile.WorkFile{Syntax: &modfile.FileSyntax{}}
	if f.Go != nil {
		if err := fresh.AddGoStmt(f.Go.Version); err != nil {
			return "", nil, fmt.Errorf("capture %s: %w", w.file, err)
		}
	}
	required = map[string]bool{}
	copies := map[string]string{} // of members
	for i, dir := range w.members {
		member := g.path(name, strconv.Itoa(i))
		copies[dir] = member
		if err := copyMember(dir, member, required); err != nil {
			return "", nil, err
		}
		if err := fresh.AddUse(filepath.ToSlash(member), ""); err != nil {
			return "", nil, fmt.Errorf("capture %s: %w", w.file, err)
		}
	}
	for m, dir := range w.absent { // go build asks nobody for these, and go mod download does
		if err := fresh.AddReplace(m.Path, m.Version, filepath.ToSlash(copies[dir]), ""); err != nil {
			return "", nil, fmt.Errorf("capture %s: %w", w.file, err)
		}
	}
	for _, r := range f.Replace {
		new := absoluteReplacement(filepath.Dir(w.file), r.New)
		if required[r.Old.Path] {
			required[new.Path] = true
		}
		if err := fresh.AddReplace(r.Old.Path, r.Old.Version, new.Path, new.Version); err != nil {
			return "", nil, fmt.Errorf("capture %s: %w", w.file, err)
		}
	}
	fresh.Cleanup()
	work = g.path(name, "go.work")
	return work, required, writeNew(work, modfile.Format(fresh.Syntax))
}

// copyMember writes the go.mod of the module in dir below member, with the
// directories that it names made absolute.
func copyMember(dir, member string, required map[string]bool) error {
	name := filepath.Join(dir, "go.mod")
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	for _, r := range f.Require {
		required[r.Mod.Path] = true
	}
	for _, r := range f.Replace {
		new := absoluteReplacement(dir, r.New)
		if required[r.Old.Path] {
			required[new.Path] = true
		}
		if new == r.New {
			continue
		}
		if err := f.AddReplace(r.Old.Path, r.Old.Version, new.Path, new.Version); err != nil {
			return fmt.Errorf("capture %s: %w", name, err)
		}
	}
	out, err := f.Format()
	if err != nil {
		return fmt.Errorf("capture %s: %w", name, err)
	}
	return writeNew(filepath.Join(member, "go.mod"), out)
}

// absoluteReplacement makes a replacement by a directory independent of where
// the file stands that names it.
func absoluteReplacement(dir string, m module.Version) module.Version {
	if m.Version == "" {
		m.Path = filepath.ToSlash(absolute(dir, m.Path))
	}
	return m
}
