package bundle

import (
	"reflect"
	"testing"
)

func TestCgoAnnotation(t *testing.T) {
	packages := []CgoPackage{{"github.com/mattn/go-sqlite3", []string{"darwin/arm64", "linux/amd64"}}, {"plugin", []string{"linux/amd64"}}}
	said := annotateCgo(packages)
	if want := "github.com/mattn/go-sqlite3 darwin/arm64 linux/amd64,plugin linux/amd64"; said != want {
		t.Errorf("annotateCgo() = %q, want %q", said, want)
	}
	if got := parseCgo(said); !reflect.DeepEqual(got, packages) {
		t.Errorf("parseCgo(%q) = %v", said, got)
	}
	for _, said := range []string{"", ",", " , ", "x", "x,,y"} { // of a bundle that says anything
		if got := parseCgo(said); len(got) > 0 {
			t.Errorf("parseCgo(%q) = %v", said, got)
		}
	}
}

// What is in a record can be read from the annotation as well.
func TestCheckCgo(t *testing.T) {
	on := []string{"linux/amd64"}
	for name, c := range map[string]struct {
		packages []CgoPackage
		ok       bool
	}{
		"none":             {nil, true},
		"two":              {[]CgoPackage{{"a", on}, {"b", []string{"linux/amd64", "linux/arm64"}}}, true},
		"not sorted":       {[]CgoPackage{{"b", on}, {"a", on}}, false},
		"twice":            {[]CgoPackage{{"a", on}, {"a", on}}, false},
		"no platform":      {[]CgoPackage{{"a", nil}}, false},
		"half a platform":  {[]CgoPackage{{"a", []string{"linux"}}}, false},
		"platforms":        {[]CgoPackage{{"a", []string{"linux/arm64", "linux/amd64"}}}, false},
		"a comma in it":    {[]CgoPackage{{"a", []string{"linux/amd64,b linux/amd64"}}}, false},
		"no import path":   {[]CgoPackage{{"a b", on}}, false},
		"control sequence": {[]CgoPackage{{"a\x1b[31m", on}}, false},
	} {
		if err := (&Record{Cgo: c.packages}).checkCgo(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPluginFit(t *testing.T) {
	one := versions{"a": {"v1.0.0": "h1:a"}, "gone": {"v1.0.0": "h1:c"}}
	two := versions{"a": {"v1.0.0": "h1:a"}, "new": {"v1.0.0": "h1:z"}}
	other := versions{"a": {"v1.0.1": "h1:b"}}
	old, both := versions{"go linux/amd64": {"go1.25.1": ""}}, versions{"go linux/amd64": {"go1.25.1": "", "go1.26.8": ""}}
	newer := versions{"go linux/amd64": {"go1.26.8": ""}}
	for name, c := range map[string]struct {
		from, to            *Listing
		fit                 bool
		modules, toolchains int
	}{
		"only one side has the others": {listing(false, one, old), listing(false, two, both), true, 0, 0},
		"a module is another":          {listing(false, one, nil), listing(false, other, nil), false, 1, 0},
		"Go is another":                {listing(false, one, old), listing(false, one, newer), false, 0, 1},
	} {
		c.to.plugins = true
		if p := Diff(c.from, c.to).Plugins; p == nil || p.Fit != c.fit || len(p.Modules) != c.modules || len(p.Toolchains) != c.toolchains {
			t.Errorf("%s: %+v", name, p)
		}
		c.to.plugins = false
		if p := Diff(c.from, c.to).Plugins; p != nil {
			t.Errorf("%s, and nobody loads plugins: %+v", name, p)
		}
	}
}
