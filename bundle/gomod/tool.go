package gomod

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path"
	"path/filepath"
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

func checkToolNames(tools []toolPackage) error {
	names := map[string]string{"go": "the go command", "gofmt": "that of the toolchain"}
	for _, t := range tools {
		name := ToolName(t.path)
		if other, ok := names[name]; ok {
			return fmt.Errorf("tool %s: %w: %s is called %s too", t, ErrTool, other, name)
		}
		names[name] = t.String()
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

// buildTools builds the tools for each platform, by the rules of the package comment.
func (g *goCommand) buildTools(ctx context.Context, tools []toolPackage, c *Captured, opts Options) error {
	for i, t := range tools {
		b, err := g.toolBuilder(ctx, t, c.GoVersion, g.path("tools", fmt.Sprintf("tool%d", i)))
		if err != nil {
			return fmt.Errorf("tool %s: %w", t, err)
		}
		for _, p := range sortedPlatforms(opts.Platforms) {
			built, err := b.build(ctx, p)
			if err != nil {
				return fmt.Errorf("tool %s for %s: %w", t, p, err)
			}
			c.Tools = append(c.Tools, built)
		}
	}
	return nil
}

// A toolBuilder builds one tool.
type toolBuilder struct {
	g         *goCommand // of the version that builds
	tool      toolPackage
	goVersion string
	dir       string
}

// toolBuilder finds the go command that builds a tool: of the bundle's version, or of the one that the tool
// asks for if that is higher.
func (g *goCommand) toolBuilder(ctx context.Context, t toolPackage, goVersion, dir string) (*toolBuilder, error) {
	if goVersion == "" {
		goVersion, _, _ = strings.Cut(g.user.GOVERSION, " ") // experiments of the user's are behind it
	}
	data, err := g.readCache(t.module, ".mod")
	if err != nil {
		return nil, err
	}
	f, err := modfile.ParseLax(t.module.String()+"/go.mod", data, nil)
	if err != nil {
		return nil, err
	}
	if f.Go != nil && version.Compare("go"+f.Go.Version, goVersion) > 0 {
		goVersion = "go" + f.Go.Version
		if goVersion == version.Lang(goVersion) {
			goVersion += ".0"
		}
	}
	if !version.IsValid(goVersion) {
		return nil, fmt.Errorf("%w: %q is no released version of Go to build it with", ErrTool, goVersion)
	}
	switching := *g
	switching.env = append(slices.Clip(g.env), "GOTOOLCHAIN="+goVersion)
	out, err := switching.module(ctx, g.path("idle"), "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	h := *g
	h.name = filepath.Join(strings.TrimSpace(string(out.stdout)), "bin", "go")
	h.env = append(slices.Clip(g.env), "GOTOOLCHAIN=local")
	goMod := fmt.Sprintf("module goferry.invalid/tool\n\ngo %s\n\nrequire %s %s\n", strings.TrimPrefix(goVersion, "go"), t.module.Path, t.module.Version)
	b := &toolBuilder{&h, t, goVersion, dir}
	return b, errors.Join(writeNew(filepath.Join(dir, "go.mod"), []byte(goMod)), b.answer())
}

// build builds the tool for one platform.
func (b *toolBuilder) build(ctx context.Context, p Platform) (Tool, error) {
	t := Tool{Package: b.tool.path, Version: b.tool.module.Version, Platform: p}
	b.g.progress(Event{Phase: "tool", Module: b.tool.String() + " " + p.String()})
	if err := b.fetch(ctx, p); err != nil {
		return t, err
	}
	gopath := filepath.Join(b.dir, p.OS+"-"+p.Arch) // GOBIN is not for other platforms
	h := *b.g
	h.env = buildEnv(b.g.env, p, gopath, b.dir, b.g.scratch)
	if _, err := h.run(ctx, b.g.path("idle"), "install", b.tool.String()); err != nil {
		return t, err
	}
	var err error
	if t.File, err = executable(filepath.Join(gopath, "bin")); err != nil {
		return t, err
	}
	if t.Info, err = buildinfo.ReadFile(t.File); err != nil {
		return t, err
	}
	if t.Info.GoVersion != b.goVersion {
		return t, fmt.Errorf("%w: the go command of %s built it as %q", ErrTool, b.goVersion, t.Info.GoVersion)
	}
	return t, nil
}

// fetch makes the scratch cache have the zip of each module that the tool is built of.
func (b *toolBuilder) fetch(ctx context.Context, p Platform) error {
	h := *b.g
	h.env = append(slices.Clip(b.g.env), "GOOS="+p.OS, "GOARCH="+p.Arch, "CGO_ENABLED=0")
	out, err := h.module(ctx, b.dir, "list", "-deps", "-json=ImportPath,Name,DepOnly", b.tool.path)
	if err != nil {
		return err
	}
	packages, err := decodeStream[struct {
		ImportPath, Name string
		DepOnly          bool
	}](out.stdout)
	if err != nil {
		return fmt.Errorf("go list -json: %w", err)
	}
	for _, pkg := range packages {
		if !pkg.DepOnly && pkg.Name != "main" {
			return fmt.Errorf("%w: it is package %s and no command", ErrTool, pkg.Name)
		}
	}
	return nil
}

// answer makes a proxy that knows which version there is of the tool's module, which the go command asks to see
// whether that is deprecated. It asks one proxy for all it needs to know of that.
func (b *toolBuilder) answer() error {
	m := b.tool.module
	info, err := b.g.readCache(m, ".info")
	if err != nil {
		return err
	}
	mod, err := b.g.readCache(m, ".mod")
	if err != nil {
		return err
	}
	name, err := escape(m, "/@v/")
	if err != nil {
		return err
	}
	versions := filepath.Join(b.dir, "proxy", filepath.Dir(name))
	return errors.Join(
		writeNew(filepath.Join(b.dir, "proxy", name+".info"), info),
		writeNew(filepath.Join(b.dir, "proxy", name+".mod"), mod),
		writeNew(filepath.Join(versions, "list"), []byte(m.Version+"\n")),
		writeNew(filepath.Join(filepath.Dir(versions), "@latest"), info))
}

// executable returns the name of the one file below dir.
func executable(dir string) (string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, name)
		}
		return err
	})
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("go install made %d files", len(files))
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}
