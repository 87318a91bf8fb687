package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

func TestRepository(t *testing.T) {
	for path, want := range map[string]string{
		"github.com/aws/aws-sdk-go-v2/service/s3": "github.com/aws/aws-sdk-go-v2",
		"github.com/a/b":                  "github.com/a/b",
		"github.com/a/b/v2":               "github.com/a/b",
		"github.com/a/b/c/v3":             "github.com/a/b",
		"gitlab.com/a/b/c":                "gitlab.com/a/b",
		"golang.org/x/mod":                "golang.org/x",
		"go.opentelemetry.io/otel/metric": "go.opentelemetry.io/otel",
		"google.golang.org/grpc":          "google.golang.org/grpc",
		"gopkg.in/yaml.v3":                "gopkg.in/yaml",
		"gopkg.in/src-d/go-git.v4":        "gopkg.in/src-d",
		"rsc.io":                          "rsc.io",
		"cloud.google.com/go/compute/v2":  "cloud.google.com/go",
	} {
		if got := repository(path); got != want {
			t.Errorf("repository(%q) = %q, want %q", path, got, want)
		}
	}
}

// manyModules are n modules of n/3 repositories, of sizes from 1 KiB to 1 MiB.
func manyModules(n int) []gomod.Module {
	var modules []gomod.Module
	for i := range n {
		modules = append(modules, gomod.Module{
			Path: fmt.Sprintf("github.com/o/r%03d/m%d", i/3, i%3), Version: "v1.0.0", Size: 1<<10 + int64(i*i*7919)%(1<<20),
		})
	}
	return modules
}

// layersOf names the layers by what is in them.
func layersOf(modules []gomod.Module, groups [][]int) []string {
	var names []string
	for _, g := range groups {
		var in []string
		for _, i := range g {
			in = append(in, modules[i].Path+"@"+modules[i].Version)
		}
		names = append(names, strings.Join(in, " "))
	}
	return names
}

func newLayers(before, after []string) (n int) {
	for _, l := range after {
		if !slices.Contains(before, l) {
			n++
		}
	}
	return n
}

// Every module is in one layer, and another version of one of them changes one layer, or at most three where its size
// crosses a power of two.
func TestGroupModules(t *testing.T) {
	const budget = 60
	modules := manyModules(300)
	before := layersOf(modules, groupModules(modules, budget))
	if len(before) > budget || len(strings.Fields(strings.Join(before, " "))) != len(modules) {
		t.Fatalf("%d modules in %d layers: %q", len(modules), len(before), before)
	}
	for i := range modules {
		for grow, most := range map[int64]int{0: 1, modules[i].Size: 3, -modules[i].Size / 2: 3} {
			next := slices.Clone(modules)
			next[i].Version = "v1.1.0"
			next[i].Size += grow
			if n := newLayers(before, layersOf(next, groupModules(next, budget))); n > most {
				t.Errorf("another version of %s, %d bytes larger, changes %d layers, want at most %d", next[i].Path, grow, n, most)
			}
		}
	}
}

// A bundle with another version of a small module has one new layer of modules and a new graph.
func TestGroupsBump(t *testing.T) {
	before, after := capturedMany(t, 300), capturedMany(t, 300)
	after.Modules[150] = testModule(t, t.TempDir(), after.Modules[150].Path, "v1.0.1")
	was, s := layout(t, t.TempDir()), layout(t, t.TempDir())
	packBudget(t, was, before, 60, "")
	packBudget(t, s, after, 60, "")
	if d := Diff(listOf(t, was), listOf(t, s)); d.AddedBlobs != 2 || len(d.Modules) != 1 {
		t.Errorf("Diff = %+v, want one module changed, and two new layers", d)
	}
}

// The layers depend on the modules and the budget alone.
func TestLayerBudget(t *testing.T) {
	c := capturedMany(t, 20)
	digests := make(map[int]digest.Digest)
	for _, test := range []struct {
		budget, layers int // at most
	}{{0, 22}, {22, 22}, {100, 22}, {21, 21}, {10, 10}, {4, 4}, {3, 3}} {
		packed := packBudget(t, layout(t, t.TempDir()), c, test.budget, "")
		if !packed.Runnable || packed.Layers > test.layers {
			t.Errorf("budget %d: %+v, want an image of at most %d layers", test.budget, packed, test.layers)
		}
		digests[test.budget] = packed.Descriptor.Digest
	}
	if digests[0] != digests[22] || digests[0] != digests[100] {
		t.Error("a budget that is large enough changes the bundle")
	}
	if again := packBudget(t, layout(t, t.TempDir()), c, 10, ""); again.Descriptor.Digest != digests[10] {
		t.Error("the same modules and budget give another bundle")
	}
	s := layout(t, t.TempDir())
	p := newPacker(s, c, toolchainPlatforms(c), "")
	p.opts.LayerBudget = 2
	if err := p.checkBudget(); !errors.Is(err, ErrLayerBudget) || !strings.Contains(err.Error(), "at least 3 layers") {
		t.Errorf("budget 2: %v, want ErrLayerBudget that says 3", err)
	}
	if _, err := s.Resolve(t.Context(), "v1"); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("there is a bundle: %v", err)
	}
}
