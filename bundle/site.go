package bundle

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// A SiteBundle is a bundle that becomes a part of a site.
type SiteBundle struct {
	Name string // as the user calls it, for messages
	*Verified
}

// SiteOptions says how a site is opened.
type SiteOptions struct {
	Previous *Site       // what it has proven of blobs in the same stores is not proven again; nil: there is none
	Progress func(Event) // nil: not told
}

// A Site is what bundles have together for the go command: one GOPROXY tree, and one part of the
// checksum database. It is immutable and for concurrent use, as long as the bundles' stores are open.
type Site struct {
	bundles    []SiteBundle
	record     *Record
	files      map[string]SiteFile
	modules    []SiteModule
	toolchains []SiteToolchain
	proven     map[provenLayer]moduleContent
	given      map[provenLayer]*givenBack
	parts      map[provenBundle]part
}

// OpenSite proves every blob of the bundles and lays them together. It goes on after a problem; the
// error joins them all. Bundles that contradict each other are [ErrMismatch], and bundles whose
// checksum databases do not connect an [UnconnectedError]; both are named.
func OpenSite(ctx context.Context, bundles []SiteBundle, opts SiteOptions) (*Site, error) {
	s := &Site{
		proven: make(map[provenLayer]moduleContent), given: make(map[provenLayer]*givenBack),
		parts: make(map[provenBundle]part), files: make(map[string]SiteFile),
	}
	report := reporter(opts.Progress)
	for _, b := range bundles {
		v := b.during("verify")
		v.report = report
		s.bundles = append(s.bundles, SiteBundle{b.Name, v})
	}
	if err := s.prove(ctx, opts.Previous, report); err != nil {
		return nil, err
	}
	parts, err := s.proveGraphs(ctx, opts.Previous)
	if err != nil {
		return nil, err
	}
	m, err := merge(parts)
	if err != nil {
		return nil, err
	}
	for _, b := range s.bundles {
		b.report = func(Event) {} // of what is read from now on
	}
	s.record = m.record
	return s, s.fill(m, parts, opts.Previous)
}

// Bundles returns the bundles of the site.
func (s *Site) Bundles() []SiteBundle { return slices.Clone(s.bundles) }

// Record returns what the site's bundles say of themselves, taken together. It is not to be changed.
func (s *Site) Record() *Record { return s.record }

// File finds a file by its name below the root of the GOPROXY tree, as it is on disk:
// "github.com/!burnt!sushi/toml/@v/v1.4.0.zip", "golang.org/x/mod/@v/list",
// "sumdb/sum.golang.org/tile/8/0/000".
func (s *Site) File(name string) (SiteFile, bool) {
	f, ok := s.files[name]
	if f.given != nil {
		f.Size = f.given.size.Load()
	}
	return f, ok
}

// fill makes the files, and the lists for people.
func (s *Site) fill(m *merged, parts []part, previous *Site) error {
	layers := chooseLayers(s.bundles, func(siteLayer) bool { return false })
	contents := make(map[string]moduleContent, len(layers))
	for name, l := range layers {
		m, _ := layerModule(l.desc)
		c, zip := s.proven[l.key()], SiteFile{}
		if layerKind(l.desc) == kindToolchain {
			c, zip = toolchainContent(m.Version), s.giveBack(l, previous)
		} else {
			zip = l.zipFile(c)
		}
		contents[name] = c
		if err := s.addModule(m, c, zip); err != nil {
			return err
		}
	}
	answers, err := m.answers(contents)
	if err != nil {
		return err
	}
	for _, files := range []map[string][]byte{answers, m.sumdb} {
		for name, data := range files {
			name = strings.TrimPrefix(name, downloadDir)
			s.files[name] = smallFile(data, isImmutable(name))
		}
	}
	return s.list(parts, layers)
}

// addModule adds the three files of a module.
func (s *Site) addModule(m module.Version, c moduleContent, zip SiteFile) error {
	for ext, f := range map[string]SiteFile{
		".info": smallFile(c.info, true), ".mod": smallFile(c.mod, true), ".zip": zip,
	} {
		name, err := moduleFile(m, ext)
		if err != nil {
			return err
		}
		s.files[strings.TrimPrefix(name, downloadDir)] = f
	}
	return nil
}

// isImmutable says whether a small file of the tree never changes: answers to queries do, and so
// do the parts of the checksum database that have a tree head in them.
func isImmutable(name string) bool {
	if strings.HasPrefix(name, "sumdb/") {
		return strings.Contains(name, "/tile/")
	}
	return strings.HasSuffix(name, ".info") || strings.HasSuffix(name, ".mod")
}

// chooseLayers returns the layers of the bundles with modules and toolchains, by name, each once. Two that have the same sum may
// still be other bytes: one on this machine goes before one in a registry, the zip of a toolchain
// before a GOROOT, and then the digest decides. Those that are lost are taken only where there is no other.
func chooseLayers(bundles []SiteBundle, lost func(siteLayer) bool) map[string]siteLayer {
	chosen := make(map[string]siteLayer)
	for _, b := range bundles {
		for _, l := range b.siteLayers() {
			if kind := layerKind(l.desc); kind == kindGraph || kind == kindTool {
				continue
			}
			was, ok := chosen[layerName(l.desc)]
			if !ok || lost(was) && !lost(l) || lost(was) == lost(l) && l.before(was) {
				chosen[layerName(l.desc)] = l
			}
		}
	}
	return chosen
}

func (l siteLayer) before(other siteLayer) bool {
	if l.local() != other.local() {
		return l.local()
	}
	if layerKind(l.desc) != layerKind(other.desc) {
		return layerKind(l.desc) == kindToolchainZip
	}
	return cmp.Or(cmp.Compare(l.desc.Digest, other.desc.Digest), cmp.Compare(l.blob().Digest, other.blob().Digest)) < 0
}
