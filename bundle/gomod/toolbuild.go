package gomod

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// buildTools builds the tools for each platform, by the rules of the package comment.
func (g *goCommand) buildTools(ctx context.Context, tools []toolPackage, c *Captured, opts Options) error {
	for i, t := range tools {
		b, err := g.toolBuilder(t, c.GoVersion, g.path("tools", fmt.Sprintf("tool%d", i)))
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
	user      *goCommand
	g         *goCommand // of the version that builds; nil: not needed so far
	tool      toolPackage
	goVersion string
	dir       string
}

// toolBuilder decides which Go builds a tool: that of the bundle, or the one that the tool asks for if that is higher.
func (g *goCommand) toolBuilder(t toolPackage, goVersion, dir string) (*toolBuilder, error) {
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
	return &toolBuilder{user: g, tool: t, goVersion: goVersion, dir: dir}, nil
}

// prepare gets the go command that builds, and makes what it works on, once.
func (b *toolBuilder) prepare(ctx context.Context) error {
	if b.g != nil {
		return nil
	}
	switching := *b.user
	switching.env = append(slices.Clip(b.user.env), "GOTOOLCHAIN="+b.goVersion)
	out, err := switching.module(ctx, b.user.path("idle"), "env", "GOROOT")
	if err != nil {
		return err
	}
	h := *b.user
	h.name = filepath.Join(strings.TrimSpace(string(out.stdout)), "bin", "go")
	h.env = append(slices.Clip(b.user.env), "GOTOOLCHAIN=local")
	b.g = &h
	goMod := fmt.Sprintf("module goferry.invalid/tool\n\ngo %s\n\nrequire %s %s\n", strings.TrimPrefix(b.goVersion, "go"), b.tool.module.Path, b.tool.module.Version)
	return errors.Join(writeNew(filepath.Join(b.dir, "go.mod"), []byte(goMod)), b.answer())
}

// build builds the tool for one platform, or takes it from where it was kept.
func (b *toolBuilder) build(ctx context.Context, p Platform) (Tool, error) {
	t := Tool{Package: b.tool.path, Version: b.tool.module.Version, Platform: p}
	b.user.progress(Event{Phase: "tool", Module: b.tool.String() + " " + p.String()})
	t.File = filepath.Join(b.dir, p.OS+"-"+p.Arch+".kept")
	known := b.recall(p, t.File)
	if !known {
		if err := b.prepare(ctx); err != nil {
			return t, err
		}
		var err error
		if t.File, err = b.install(ctx, p); err != nil {
			return t, err
		}
	}
	var err error
	if t.Info, err = buildinfo.ReadFile(t.File); err != nil {
		return t, err
	}
	if t.Info.GoVersion != b.goVersion {
		return t, fmt.Errorf("%w: the go command of %s built it as %q", ErrTool, b.goVersion, t.Info.GoVersion)
	}
	if !known {
		b.keep(p, t.File)
	}
	return t, nil
}

// install returns the name of the executable that "go install" makes.
func (b *toolBuilder) install(ctx context.Context, p Platform) (string, error) {
	if err := b.fetch(ctx, p); err != nil {
		return "", err
	}
	gopath := filepath.Join(b.dir, p.OS+"-"+p.Arch) // GOBIN is not for other platforms
	h := *b.g
	h.env = buildEnv(b.g.env, p, gopath, b.dir, b.g.scratch)
	if _, err := h.run(ctx, b.g.path("idle"), "install", b.tool.String()); err != nil {
		return "", err
	}
	return executable(filepath.Join(gopath, "bin"))
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
