package gomod

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// A Tool is a command that was built for one platform.
type Tool struct {
	Package  string // import path
	Version  string // of its module
	Platform Platform
	File     string // name of the executable
	Info     *debug.BuildInfo
}

// ErrTool says that what was asked for is no tool that can be built, or not beside the others.
var ErrTool = errors.New("not a tool to build")

// ToolName is what the go command calls the executable of a package, on systems that have no .exe.
func ToolName(pkg string) string {
	dir, name := path.Split(pkg)
	if dir != "" && semver.Major(name) == name && semver.Compare(name, "v2") >= 0 {
		name = path.Base(dir)
	}
	return name
}

// A toolPackage is a tool that was asked for, with what it comes to.
type toolPackage struct {
	path   string
	module module.Version
}

func (t toolPackage) String() string { return t.path + "@" + t.module.Version }

// findTools returns the tools that opts ask for, each once, sorted by package.
func (g *goCommand) findTools(ctx context.Context, mains []mainModule, opts Options) ([]toolPackage, error) {
	var tools []toolPackage
	asked := slices.Clone(opts.Tools)
	if opts.ProjectTools {
		found, err := g.projectTools(mains)
		if err != nil {
			return nil, err
		}
		asked = append(asked, found...)
	}
	for _, word := range asked {
		g.progress(Event{Phase: "resolve", Module: word})
		t, err := g.findTool(ctx, word, mains)
		if err != nil {
			return nil, fmt.Errorf("tool %s: %w", word, err)
		}
		if !slices.Contains(tools, t) {
			tools = append(tools, t)
		}
	}
	slices.SortFunc(tools, func(a, b toolPackage) int { return strings.Compare(a.String(), b.String()) })
	return tools, checkToolNames(tools)
}

// checkToolNames refuses tools whose executables would take each other's place, or that of the go command, on a system
// where names that differ in case do.
func checkToolNames(tools []toolPackage) error {
	names := map[string]string{"go": "the go command", "gofmt": "that of the toolchain"}
	for _, t := range tools {
		name := ToolName(t.path)
		if other, ok := names[strings.ToLower(name)]; ok {
			return fmt.Errorf("tool %s: %w: %s is called %s too", t, ErrTool, other, name)
		}
		names[strings.ToLower(name)] = t.String()
	}
	return nil
}

// projectTools returns what the tool lines of the projects name.
func (g *goCommand) projectTools(mains []mainModule) ([]string, error) {
	var tools []string
	for _, m := range mains {
		f, err := modfile.Parse(m.name+"/go.mod", m.file, nil)
		if err != nil {
			return nil, fmt.Errorf("capture: %w", err)
		}
		for _, t := range f.Tool {
			if inModule(t.Path, m.name) {
				g.warn(fmt.Sprintf("tool %s is the project's own and not built", t.Path))
			} else if !slices.Contains(tools, t.Path) {
				tools = append(tools, t.Path)
			}
		}
	}
	return tools, nil
}

// findTool finds the module of a tool: "PKG@V", or "PKG" in the version that a project selects.
func (g *goCommand) findTool(ctx context.Context, word string, mains []mainModule) (toolPackage, error) {
	pkg, query, ok := strings.Cut(word, "@")
	t := toolPackage{path: pkg}
	if err := module.CheckImportPath(pkg); err != nil {
		return t, fmt.Errorf("%w: %w", ErrTool, err)
	}
	if !ok {
		selected, err := g.selected(ctx, pkg, mains)
		if err != nil {
			return t, err
		}
		t.module, err = g.resolve(ctx, selected)
		return t, err
	}
	var first error
	for prefix := pkg; prefix != "."; prefix = path.Dir(prefix) {
		m, err := g.resolve(ctx, module.Version{Path: prefix, Version: query})
		if err == nil {
			t.module = m
			return t, nil
		}
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		if first == nil {
			first = err
		}
	}
	return t, first
}

// selected returns the module which a package is in, in the highest version that a project selects.
func (g *goCommand) selected(ctx context.Context, pkg string, mains []mainModule) (module.Version, error) {
	var found module.Version
	for i, main := range mains {
		name := g.path("tools", fmt.Sprintf("select%d", i), "go.mod")
		if err := writeNew(name, main.file); err != nil {
			return found, err
		}
		out, err := g.module(ctx, main.dir, "list", "-m", "-e", "-modfile="+name, "-json", "all")
		if err != nil {
			return found, err
		}
		all, err := decodeStream[selection](out.stdout)
		if err != nil {
			return found, fmt.Errorf("go list -m -json: %w", err)
		}
		var best selection
		for _, l := range all {
			if inModule(pkg, l.Path) && len(l.Path) > len(best.Path) {
				best = l
			}
		}
		switch {
		case best.Main:
			return found, fmt.Errorf("%w: it is the project's own", ErrTool)
		case best.Replace != nil:
			return found, fmt.Errorf("%w: %s replaces its module by another", ErrTool, main.name)
		case len(best.Path) > len(found.Path) || best.Path == found.Path && semver.Compare(best.Version, found.Version) > 0:
			found = module.Version{Path: best.Path, Version: best.Version}
		}
	}
	if found.Path == "" {
		return found, fmt.Errorf("%w: it has no version, and no project requires its module", ErrTool)
	}
	return found, nil
}

// A selection is a module as "go list -m -json" has it.
type selection struct {
	Path, Version string
	Main          bool
	Replace       *struct{ Path string }
}

func inModule(pkg, module string) bool { return pkg == module || strings.HasPrefix(pkg, module+"/") }

// resolve returns the module that m comes to, whose version may be a query. Its .info and .mod files are in the
// scratch cache then. That works for one that asks for a newer Go as well, as "go mod download" does not.
func (g *goCommand) resolve(ctx context.Context, m module.Version) (module.Version, error) {
	out, err := g.module(ctx, g.path("idle"), "list", "-m", "-json", m.String())
	if err != nil {
		return m, err
	}
	found, err := decodeStream[selection](out.stdout)
	if err != nil {
		return m, fmt.Errorf("go list -m -json: %w", err)
	}
	if len(found) != 1 {
		return m, fmt.Errorf("%s is not a module version", m)
	}
	return module.Version{Path: found[0].Path, Version: found[0].Version}, nil
}
