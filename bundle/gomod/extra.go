package gomod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// extraModule fetches the module m, whose version may be a query, adds it to
// s, and returns it as a main module; one without a go.mod needs nothing more,
// and comes back without file.
func (g *goCommand) extraModule(ctx context.Context, m module.Version, s *set) (mainModule, error) {
	arg := m.Path + "@" + orQuery(m.Version, "latest")
	g.progress(Event{Phase: "resolve", Module: arg})
	out, err := g.module(ctx, g.path("idle"), "mod", "download", "-json", arg)
	found, failed, err := downloads(out, err)
	if err == nil {
		err = joinErrors(failed)
	}
	if err != nil {
		return mainModule{}, fmt.Errorf("capture: %w", err)
	}
	if len(found) != 1 {
		return mainModule{}, fmt.Errorf("capture %s: not a module version", arg)
	}
	s.add(s.zips, found[0])
	return g.openExtra(found[0])
}

// openExtra reads the go.mod of a module in the scratch cache the way its
// dependants do: without replace and exclude directives.
func (g *goCommand) openExtra(m module.Version) (mainModule, error) {
	tree, err := escape(m, "@")
	if err != nil {
		return mainModule{}, err
	}
	// The go command does not walk into a main module that is a link.
	dir, err := filepath.EvalSymlinks(g.path("mod", tree))
	if err != nil {
		return mainModule{}, fmt.Errorf("capture %s: %w", m, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, fs.ErrNotExist) {
		return mainModule{}, nil
	}
	if err != nil {
		return mainModule{}, fmt.Errorf("capture %s: %w", m, err)
	}
	f, err := modfile.Parse(m.String()+"/go.mod", data, nil)
	if err != nil {
		return mainModule{}, fmt.Errorf("capture: %w", err)
	}
	for _, r := range f.Replace {
		f.DropReplace(r.Old.Path, r.Old.Version)
	}
	for _, e := range f.Exclude {
		f.DropExclude(e.Mod.Path, e.Mod.Version)
	}
	f.Cleanup()
	data, err = f.Format()
	if err != nil {
		return mainModule{}, fmt.Errorf("capture %s: %w", m, err)
	}
	return mainModule{name: m.String(), dir: dir, file: data}, nil
}

// escape returns path and version in the form they have in a module cache,
// with sep between them.
func escape(m module.Version, sep string) (string, error) {
	path, err := module.EscapePath(m.Path)
	if err != nil {
		return "", fmt.Errorf("capture: %w", err)
	}
	version, err := module.EscapeVersion(m.Version)
	if err != nil {
		return "", fmt.Errorf("capture: %w", err)
	}
	return filepath.FromSlash(path + sep + version), nil
}
