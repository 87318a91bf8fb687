package gomod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	for i, dir := range w.members {
		member := g.path(name, strconv.Itoa(i))
		if err := copyMember(dir, member, required); err != nil {
			return "", nil, err
		}
		if err := fresh.AddUse(filepath.ToSlash(member), ""); err != nil {
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
