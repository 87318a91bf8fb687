package gomod

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// A CgoPackage is a package that is built with a C compiler.
type CgoPackage struct {
	Path      string
	Platforms []Platform // sorted
}

// Cgo returns what the projects and the extra modules are built with a C compiler of, sorted by path. It may have to
// wait for that.
func (c *Captured) Cgo() []CgoPackage {
	if c.found != nil {
		<-c.found
	}
	return c.cgo
}

// findCgo begins to find what Cgo returns, while the caller is at work, and then calls then, unless c is closed before.
func (g *goCommand) findCgo(ctx context.Context, s *set, c *Captured, platforms []Platform, then func()) {
	ctx, c.stop = context.WithCancel(ctx)
	found := make(chan struct{})
	c.found = found
	go func() {
		defer close(found)
		for i, m := range s.mains {
			r := round{g: g, main: m, modfile: g.path(fmt.Sprintf("main%d", i), "cgo", "go.mod"), set: s}
			r.cgo(ctx, sortedPlatforms(platforms))
		}
		c.cgo = s.cgoPackages()
		if ctx.Err() == nil {
			then()
		}
	}()
}

// cgo finds the packages that the main module's build and tests take a C compiler for, on each platform. What others
// do without is not known: the go command leaves cgo out where it finds no compiler, and a package then does less, or
// nothing. Of the standard library that is so for "plugin" alone.
//
// It looks for nothing that download has not found.
func (r round) cgo(ctx context.Context, platforms []Platform) {
	for _, p := range platforms {
		h := *r.g
		h.env = append(slices.Clip(r.g.env), "GOOS="+p.OS, "GOARCH="+p.Arch, "CGO_ENABLED=1", "GOPROXY=off", "GONOPROXY=none")
		on := r
		on.g = &h
		out, err := on.run(ctx, []string{"list"}, "-deps", "-test", "-e", "-json=ImportPath,CgoFiles,SwigFiles,SwigCXXFiles,Standard", "./...")
		if err == nil {
			err = r.set.addCgo(out, p)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.g.warn(fmt.Sprintf("%s: it is not known which packages need a C compiler for %s: %v", r.main.name, p, err))
			r.set.unsettle()
		}
	}
}

// addCgo takes from what "go list -json" printed those packages that have C in them.
func (s *set) addCgo(out output, p Platform) error {
	packages, err := decodeStream[struct {
		ImportPath                        string
		CgoFiles, SwigFiles, SwigCXXFiles []string
		Standard                          bool
	}](out.stdout)
	if err != nil {
		return fmt.Errorf("go list -json: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pkg := range packages {
		path, _, _ := strings.Cut(pkg.ImportPath, " ") // behind it stands the test that it is built for
		c := len(pkg.CgoFiles)+len(pkg.SwigFiles)+len(pkg.SwigCXXFiles) > 0
		if !c || pkg.Standard && path != "plugin" || module.CheckImportPath(path) != nil {
			continue
		}
		if !slices.Contains(s.cgo[path], p) {
			s.cgo[path] = append(s.cgo[path], p)
		}
	}
	return nil
}

// cgoPackages returns what addCgo has found, sorted.
func (s *set) cgoPackages() (all []CgoPackage) {
	for path, platforms := range s.cgo {
		all = append(all, CgoPackage{path, sortedPlatforms(platforms)})
	}
	slices.SortFunc(all, func(a, b CgoPackage) int { return strings.Compare(a.Path, b.Path) })
	return all
}
