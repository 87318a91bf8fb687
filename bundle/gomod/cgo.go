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

// cgo finds the packages that the main module's build and tests take a C compiler for, on each platform. What others
// do without is not known: the go command leaves cgo out where it finds no compiler, and a package then does less, or
// nothing. Of the standard library that is so for "plugin" alone.
//
// It comes after download, and looks for nothing that this has not found.
func (r round) cgo(ctx context.Context, platforms []Platform) error {
	for _, p := range platforms {
		h := *r.g
		h.env = append(slices.Clip(r.g.env), "GOOS="+p.OS, "GOARCH="+p.Arch, "CGO_ENABLED=1", "GOPROXY=off", "GONOPROXY=none")
		on := r
		on.g = &h
		out, err := on.run(ctx, []string{"list"}, "-deps", "-test", "-e", "-json=ImportPath,CgoFiles,SwigFiles,SwigCXXFiles,Standard", "./...")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = r.set.addCgo(out, p)
		}
		if err != nil {
			r.g.warn(fmt.Sprintf("%s: it is not known which packages need a C compiler for %s: %v", r.main.name, p, err))
			r.set.unsettle()
		}
	}
	return nil
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
