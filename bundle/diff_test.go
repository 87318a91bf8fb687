package bundle

import (
	"reflect"
	"testing"

	"github.com/opencontainers/go-digest"
)

func listing(asks bool, modules, toolchains versions) *Listing {
	l := newListing()
	l.asks, l.modules = asks, modules
	if toolchains != nil {
		l.toolchains = toolchains
	}
	return l
}

func TestDiff(t *testing.T) {
	one := versions{"a": {"v1.0.0": "h1:a"}, "b": {"v1.0.0": "h1:b"}, "gone": {"v1.0.0": "h1:c"}}
	two := versions{"a": {"v1.0.0": "h1:a"}, "b": {"v1.10.0": "h1:x", "v1.9.0": "h1:y"}, "new": {"v1.0.0": "h1:z"}}
	for name, c := range map[string]struct {
		from, to *Listing
		want     []Change
		goes     []Change
	}{
		"bundles": {listing(false, one, nil), listing(false, two, nil), []Change{
			{"b", []string{"v1.0.0"}, []string{"v1.9.0", "v1.10.0"}}, {"gone", []string{"v1.0.0"}, nil}, {"new", nil, []string{"v1.0.0"}},
		}, nil},
		"another sum": {listing(false, one, nil), listing(false, versions{"a": {"v1.0.0": "h1:forged"}, "b": one["b"], "gone": one["gone"]}, nil), []Change{
			{"a", []string{"v1.0.0 (h1:a)"}, []string{"v1.0.0 (h1:forged)"}},
		}, nil},
		"go.mod asks": {listing(true, versions{"a": {"v1.0.0": ""}, "b": {"v1.0.0": "h1:b"}, "none": {"v1.0.0": ""}}, nil), listing(false, two, nil), []Change{
			{"b", []string{"v1.0.0"}, []string{"v1.9.0", "v1.10.0"}}, {"none", []string{"v1.0.0"}, nil},
		}, nil},
		"go.mod has a version of several": {listing(true, versions{"b": {"v1.9.0": "h1:y"}}, nil), listing(false, two, nil), nil, nil},
		"only in the graph":               {listing(true, versions{"b": {"v1.0.0": "h1:b"}}, nil), listing(false, versions{"b": {"v1.0.0": ""}}, nil), nil, nil},
		"newer Go": {listing(true, nil, versions{"go": {"go1.26.0": ""}}), listing(false, nil, versions{"go linux/amd64": {"go1.24.1": "h1:g", "go1.26.8": "h1:h"}}),
			nil, nil},
		"older Go": {listing(true, nil, versions{"go": {"go1.26.0": ""}}), listing(false, nil, versions{"go linux/amd64": {"go1.24.1": "h1:g"}}),
			nil, []Change{{"go", []string{"go1.26.0"}, []string{"go1.24.1"}}}},
		"no Go": {listing(false, nil, nil), listing(true, nil, versions{"go": {"go1.26.0": ""}}),
			nil, []Change{{"go", nil, []string{"go1.26.0"}}}},
	} {
		d := Diff(c.from, c.to)
		if len(d.Modules)+len(c.want) > 0 && !reflect.DeepEqual(d.Modules, c.want) || len(d.Toolchains)+len(c.goes) > 0 && !reflect.DeepEqual(d.Toolchains, c.goes) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestDiffCountsLayers(t *testing.T) {
	from, to := newListing(), newListing()
	from.layers = map[digest.Digest]int64{"a": 1, "b": 2}
	to.layers = map[digest.Digest]int64{"b": 2, "c": 4, "d": 8}
	to.digests, to.documents = []digest.Digest{"two"}, 100
	if d := Diff(from, to); d.AddedBlobs != 2 || d.AddedBytes != 112 || d.Listed() {
		t.Errorf("Diff() = %+v", d)
	}
	if d := Diff(to, to); d.AddedBlobs != 0 || d.AddedBytes != 0 || !d.Same() {
		t.Errorf("Diff() of the same = %+v", d)
	}
}
