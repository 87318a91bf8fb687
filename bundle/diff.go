package bundle

import (
	"cmp"
	"go/version"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/semver"
)

// A Difference is what changes from one listing to another. Where one of them is a go.mod file, it is what that asks
// for and the other lacks.
type Difference struct {
	From       []digest.Digest `json:"from"` // indexes; none of a go.mod file
	To         []digest.Digest `json:"to"`
	Modules    []Change        `json:"modules"`    // sorted by name, as are the others
	Toolchains []Change        `json:"toolchains"` // "go linux/amd64"
	Tools      []Change        `json:"tools"`      // "golang.org/x/tools/gopls linux/amd64"
	AddedBlobs int             `json:"addedBlobs"` // layers that only To has
	AddedBytes int64           `json:"addedBytes"` // of these, and of To's documents where it has others

	Plugins *PluginFit `json:"plugins,omitempty"` // nil: no project of either loads any
}

// A Change is what has other versions on both sides. Without From it is added, without To it is removed. Two of the same
// number stand there with their sums.
type Change struct {
	Name string   `json:"name"`
	From []string `json:"from,omitempty"` // versions that only one side has, sorted
	To   []string `json:"to,omitempty"`
}

// Diff compares two listings.
func Diff(from, to *Listing) *Difference {
	if from.asks != to.asks {
		from, to = from.asked(to), to.asked(from)
	}
	d := &Difference{
		From: slices.Clone(from.digests), To: slices.Clone(to.digests),
		Modules:    diffVersions(from.modules, to.modules),
		Toolchains: diffVersions(from.toolchains, to.toolchains),
		Tools:      diffVersions(from.tools, to.tools),
	}
	if from.asks || to.asks {
		return d
	}
	if from.plugins || to.plugins {
		d.Plugins = d.pluginFit()
	}
	for layer, size := range to.layers {
		if _, ok := from.layers[layer]; !ok {
			d.AddedBlobs++
			d.AddedBytes += size
		}
	}
	if !sameDigests(from.digests, to.digests) {
		d.AddedBytes += to.documents
	}
	return d
}

// Same says whether there is no difference. Bundles of other digests are never the same: what they have may be, but not
// what they say of it.
func (d *Difference) Same() bool {
	return !d.Listed() && (len(d.From) == 0 || len(d.To) == 0 || sameDigests(d.From, d.To))
}

// Listed says whether there is any difference in what is listed.
func (d *Difference) Listed() bool {
	return len(d.Modules)+len(d.Toolchains)+len(d.Tools) > 0
}

func sameDigests(a, b []digest.Digest) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// asked is what of l bears on a go.mod file, if other is one: the version that is asked for, or else what there is in
// its place.
func (l *Listing) asked(other *Listing) *Listing {
	if l.asks {
		return l
	}
	of := newListing()
	of.digests = l.digests
	for path, asked := range other.modules {
		for version, sum := range asked {
			is, ok := l.modules[path][version]
			if !ok {
				of.modules[path] = l.modules[path]
				continue
			}
			if sum != "" && is != "" { // else one is not known
				sum = is
			}
			of.modules.add(path, version, sum)
		}
	}
	for asked := range other.toolchains["go"] {
		of.toolchains["go"] = l.goVersions(asked)
	}
	return of
}

// goVersions is a Go version alone, if there is one that is not older, on any platform, or else what there is.
func (l *Listing) goVersions(atLeast string) map[string]string {
	all := make(map[string]string)
	for _, has := range l.toolchains {
		for v := range has {
			if version.Compare(v, atLeast) >= 0 {
				return map[string]string{atLeast: ""}
			}
			all[v] = ""
		}
	}
	return all
}

// diffVersions returns what only one side has of each name.
func diffVersions(from, to versions) []Change {
	changes := []Change{}
	names := maps.Clone(from)
	maps.Copy(names, to)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := Change{Name: name, From: onlyIn(from[name], to[name]), To: onlyIn(to[name], from[name])}
		if len(c.From)+len(c.To) > 0 {
			changes = append(changes, c)
		}
	}
	return changes
}

// onlyIn returns the versions that a has and b has not, or not with the same sum.
func onlyIn(a, b map[string]string) (only []string) {
	for v, sum := range a {
		other, ok := b[v]
		switch {
		case !ok:
			only = append(only, v)
		case sum != other:
			only = append(only, v+" ("+sum+")")
		}
	}
	slices.SortFunc(only, func(a, b string) int {
		return cmp.Or(semver.Compare(a, b), version.Compare(a, b), strings.Compare(a, b))
	})
	return only
}
