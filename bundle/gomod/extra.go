package gomod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// extraModule fetches the module m, whose version may be a query, adds it to
// s, and returns it as a main module; one without a go.mod needs nothing more,
// and comes back without file.
func (g *goCommand) extraModule(ctx context.Context, m module.Version, s *set) (mainModule, error) {
	arg := m.Path + "@" + orQuery(m.Version, "latest")
	g.progress(Event{Phase: "resolve", Module: arg})
	found, err := g.download(ctx, arg)
	if err != nil {
		return mainModule{}, fmt.Errorf("capture: %w", err)
	}
	if len(found) != 1 {
		return mainModule{}, fmt.Errorf("capture %s: not a module version", arg)
	}
	s.add(s.zips, found[0])
	s.extra = append(s.extra, found[0])
	return g.openExtra(found[0])
}

// openExtra reads the .mod file of a module in the scratch cache the way its
// dependants do. The go.mod of the zip does not count: it may be missing or
// another one. A module that has none and requires nothing comes back without
// file, since its imports could be anybody's.
func (g *goCommand) openExtra(m module.Version) (mainModule, error) {
	data, err := g.readCache(m, ".mod")
	if err != nil {
		return mainModule{}, err
	}
	f, err := modfile.ParseLax(m.String()+"/go.mod", data, nil)
	if err != nil {
		return mainModule{}, fmt.Errorf("capture: %w", err)
	}
	dropMainOnly(f.Syntax)
	main := mainModule{name: m.String(), file: modfile.Format(f.Syntax)}
	tree, err := escape(m, "@")
	if err != nil {
		return mainModule{}, err
	}
	// The go command does not walk into a main module that is a link.
	if main.dir, err = filepath.EvalSymlinks(g.path("mod", tree)); err != nil {
		return mainModule{}, fmt.Errorf("capture %s: %w", m, err)
	}
	_, err = os.Stat(filepath.Join(main.dir, "go.mod"))
	if !errors.Is(err, fs.ErrNotExist) {
		return main, err
	}
	if len(f.Require) == 0 {
		return mainModule{}, nil
	}
	main.dir = g.path("bare", tree)
	return main, writeNew(filepath.Join(main.dir, "go.mod"), main.file)
}

// dropMainOnly removes all that counts in a main module alone, or is not known
// and passed over in a dependency.
func dropMainOnly(f *modfile.FileSyntax) {
	f.Stmt = slices.DeleteFunc(f.Stmt, func(x modfile.Expr) bool {
		var verb string
		switch x := x.(type) {
		case *modfile.Line:
			verb = x.Token[0]
		case *modfile.LineBlock:
			verb = strings.Join(x.Token, " ")
		}
		return !slices.Contains([]string{"module", "go", "require", "ignore"}, verb)
	})
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
