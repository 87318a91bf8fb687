package bundle

import (
	"cmp"
	"go/version"
	"slices"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
)

// A SiteModule is a module path of a site.
type SiteModule struct {
	Path     string
	Versions []SiteVersion // in the order of versions
}

// A SiteVersion is one version of a module.
type SiteVersion struct {
	Version    string
	Sum        string   // "h1:…" of the zip; empty: only .info and .mod are carried
	Size       int64    // of the zip
	NotInSumDB bool     // the checksum database does not cover it
	Bundles    []string // names of those that have it
}

// A SiteToolchain is a Go toolchain of a site.
type SiteToolchain struct {
	GoVersion string // "go1.26.8"
	Platform  gomod.Platform
	Size      int64    // of the layer
	Bundles   []string // names of those that have it
}

// Modules returns the site's modules, sorted by path. They are not to be changed.
func (s *Site) Modules() []SiteModule { return s.modules }

// Toolchains returns the site's toolchains, sorted by version and platform. They are not to be changed.
func (s *Site) Toolchains() []SiteToolchain { return s.toolchains }

// list makes the lists of modules and toolchains.
func (s *Site) list(parts []part, layers map[string]siteLayer) error {
	bundles := make(map[string][]string)
	for _, p := range parts {
		for _, m := range slices.Concat(p.record.Modules, p.record.Toolchains) {
			bundles[m.String()] = append(bundles[m.String()], p.name)
		}
	}
	for _, m := range s.record.Modules {
		if n := len(s.modules); n == 0 || s.modules[n-1].Path != m.Path {
			s.modules = append(s.modules, SiteModule{Path: m.Path})
		}
		v := SiteVersion{Version: m.Version, Sum: m.Sum, NotInSumDB: m.NoSumDB, Bundles: bundles[m.String()]}
		if l, ok := layers[m.String()]; ok {
			c := s.proven[l.key()]
			v.Size = c.zipEnd - c.zip
		}
		last := &s.modules[len(s.modules)-1]
		last.Versions = append(last.Versions, v)
	}
	for _, m := range s.record.Toolchains {
		goVersion, goos, goarch, err := toolchain.ParseVersion(m.Version)
		if err != nil {
			return err
		}
		t := SiteToolchain{GoVersion: goVersion, Platform: gomod.Platform{OS: goos, Arch: goarch}, Bundles: bundles[m.String()]}
		if l, ok := layers[m.String()]; ok { // else of a platform that was not asked for
			t.Size = l.desc.Size
		}
		s.toolchains = append(s.toolchains, t)
	}
	slices.SortStableFunc(s.toolchains, func(a, b SiteToolchain) int {
		return cmp.Or(version.Compare(a.GoVersion, b.GoVersion), cmp.Compare(a.Platform.String(), b.Platform.String()))
	})
	return nil
}
