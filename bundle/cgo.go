package bundle

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
)

// A CgoPackage is a package that the builds or tests of a bundle's projects need a C compiler for.
type CgoPackage struct {
	Package   string   `json:"package"`
	Platforms []string `json:"platforms"` // sorted
}

func recordCgo(found []gomod.CgoPackage) (packages []CgoPackage) {
	for _, f := range found {
		c := CgoPackage{Package: f.Path}
		for _, p := range f.Platforms {
			c.Platforms = append(c.Platforms, p.String())
		}
		packages = append(packages, c)
	}
	return packages
}

// checkCgo refuses what would not be read from the annotation as it stands in the record.
func (r *Record) checkCgo() error {
	for i, c := range r.Cgo {
		if err := module.CheckImportPath(c.Package); err != nil {
			return err
		}
		sorted := slices.IsSorted(c.Platforms) && (i == 0 || r.Cgo[i-1].Package < c.Package)
		if !sorted || len(c.Platforms) == 0 || slices.ContainsFunc(c.Platforms, isNoPlatform) {
			return fmt.Errorf("the packages with C are not sorted, or %s is for no platform", c.Package)
		}
	}
	return nil
}

func isNoPlatform(word string) bool {
	goos, goarch, ok := strings.Cut(word, "/")
	return !ok || goos == "" || goarch == "" || strings.ContainsAny(word, " ,")
}

// annotateCgo is the annotation of packages: "github.com/mattn/go-sqlite3 linux/amd64 linux/arm64,…".
func annotateCgo(packages []CgoPackage) string {
	var words []string
	for _, c := range packages {
		words = append(words, c.Package+" "+strings.Join(c.Platforms, " "))
	}
	return strings.Join(words, ",")
}

// parseCgo is the other way round.
func parseCgo(annotation string) []CgoPackage {
	packages := []CgoPackage{}
	for entry := range strings.SplitSeq(annotation, ",") {
		if words := strings.Fields(entry); len(words) > 1 {
			packages = append(packages, CgoPackage{words[0], words[1:]})
		}
	}
	return packages
}

// mergeCgo is what one of several bundles needs a C compiler for.
func mergeCgo(parts []part) (packages []CgoPackage) {
	platforms := make(map[string][]string)
	for _, p := range parts {
		for _, c := range p.record.Cgo {
			platforms[c.Package] = append(platforms[c.Package], c.Platforms...)
		}
	}
	for name, list := range platforms {
		slices.Sort(list)
		packages = append(packages, CgoPackage{name, slices.Compact(list)})
	}
	slices.SortFunc(packages, func(a, b CgoPackage) int { return strings.Compare(a.Package, b.Package) })
	return packages
}
