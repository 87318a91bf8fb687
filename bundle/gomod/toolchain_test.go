package gomod

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/toolchain"
)

func toolchainVersion(v string, p Platform) string { return toolchain.ModuleVersion(v, p.OS, p.Arch) }

var linux, darwin = Platform{"linux", "amd64"}, Platform{"darwin", "arm64"}

func newToolchainBench(t *testing.T, project map[string]string) *bench {
	b := newBench(t, project)
	for _, v := range []string{"go1.22.0", "go1.23.4", "go1.23.5", "go1.24rc1", "go1.26.8"} {
		b.publishToolchain(toolchainVersion(v, linux))
	}
	b.publishToolchain(toolchainVersion("go1.23.5", darwin))
	return b
}

func TestToolchainChoice(t *testing.T) {
	mod := func(lines string) map[string]string {
		return map[string]string{"go.mod": "module example.com/app\n\n" + lines, "app.go": "package app\n"}
	}
	for _, test := range []struct {
		name, toolchain string
		project         map[string]string
		modules         []module.Version
		want            string
	}{
		{"language version is its first release", "auto", mod("go 1.22\n"), nil, "go1.22.0"},
		{"release in the go line", "", mod("go 1.23.4\n"), nil, "go1.23.4"},
		{"toolchain line is above the go line", "auto", mod("go 1.22\n\ntoolchain go1.23.5\n"), nil, "go1.23.5"},
		{"toolchain line below the go line", "auto", mod("go 1.23.5\n\ntoolchain go1.23.4\n"), nil, "go1.23.5"},
		{"toolchain default", "auto", mod("go 1.22\n\ntoolchain default\n"), nil, "go1.22.0"},
		{"go line of a dependency", "auto", map[string]string{
			"go.mod": "module example.com/app\n\ngo 1.22\n\nrequire example.com/b v1.1.0\n",
			"app.go": "package app\n\nimport _ \"example.com/b\"\n",
		}, nil, "go1.23.4"},
		{"extra module", "auto", nil, []module.Version{{Path: "example.com/b", Version: "v1.1.0"}}, "go1.23.4"},
		{"none", "none", mod("go 1.22\n"), nil, ""},
		{"nothing asks", "auto", nil, nil, ""},
		{"named", "go1.26.8", nil, nil, "go1.26.8"},
		{"named without go", "1.26.8", mod("go 1.22\n"), nil, "go1.26.8"},
		{"latest", "latest", nil, nil, "go1.26.8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newToolchainBench(t, test.project)
			opts := Options{Toolchains: []string{}, Modules: test.modules, Platforms: []Platform{linux}}
			if test.toolchain != "" {
				opts.Toolchains = []string{test.toolchain}
			}
			if test.project != nil {
				opts.Dirs = []string{b.dir("")}
			}
			c := b.mustCapture(opts)
			if c.GoVersion != test.want {
				t.Fatalf("GoVersion = %q, want %q", c.GoVersion, test.want)
			}
			if test.want == "" {
				return
			}
			if len(c.Toolchains) != 1 || c.Toolchains[0].Module.Version != toolchainVersion(test.want, linux) {
				t.Fatalf("Toolchains = %+v", c.Toolchains)
			}
			if len(b.warnings) > 0 {
				t.Errorf("warnings %q", b.warnings)
			}
		})
	}
}

func TestToolchainBefore121(t *testing.T) {
	b := newToolchainBench(t, map[string]string{"go.mod": "module example.com/app\n\ngo 1.20\n", "app.go": "package app\n"})
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Toolchains: []string{"auto"}})
	if c.GoVersion != c.Env.GOVERSION || !b.warned("go1.21", c.GoVersion) {
		t.Errorf("GoVersion = %q, warnings %q", c.GoVersion, b.warnings)
	}
}

func TestToolchainUnknown(t *testing.T) {
	b := newToolchainBench(t, nil)
	for _, test := range []struct {
		toolchain string
		platform  Platform
		words     string
	}{
		{"go1.23.9", linux, "near it: go1.22.0, go1.23.4, go1.23.5, go1.26.8"},
		{"go1.24rc2", linux, "near it: go1.23.4, go1.23.5, go1.24rc1, go1.26.8"},
		{"go1.26.8", darwin, "near it: go1.23.5"},
		{"go1.26.8", Platform{"plan9", "mips"}, "none for plan9/mips"},
		{"sometime", linux, "not a Go version"},
		{"../go1.26.8", linux, "not a Go version"},
		{"go1.26.8", Platform{"../x", "y"}, "../x"},
	} {
		_, err := b.capture(Options{Toolchains: []string{test.toolchain}, Platforms: []Platform{test.platform}})
		if !errors.Is(err, ErrUnknownToolchain) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("Capture of %s for %s: %v, want %q in it", test.toolchain, test.platform, err, test.words)
		}
	}
}

// A proxy that refuses a toolchain which it lists has not said that there is none.
func TestToolchainRefused(t *testing.T) {
	b := newToolchainBench(t, nil)
	b.publishToolchain(toolchainVersion("go1.23.9", linux))
	files := http.FileServer(http.Dir(filepath.Join(b.root, "proxy")))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "go1.23.9") || strings.Contains(r.URL.Path, "go1.23.77") {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		files.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	b.proxy = proxy.URL
	_, err := b.capture(Options{Toolchains: []string{"go1.23.9"}, Platforms: []Platform{linux}})
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("Capture: %v, want ErrAuth with the proxy's answer", err)
	}
	_, err = b.capture(Options{Toolchains: []string{"go1.23.77"}, Platforms: []Platform{linux}})
	if !errors.Is(err, ErrUnknownToolchain) || !strings.Contains(err.Error(), "near it: ") {
		t.Errorf("Capture of what the proxy does not list: %v", err)
	}
}

// Several Go versions are each taken once for each platform; the first is the project's own.
func TestSeveralToolchains(t *testing.T) {
	b := newToolchainBench(t, map[string]string{"go.mod": "module example.com/app\n\ngo 1.23.5\n"})
	b.publishToolchain(toolchainVersion("go1.22.0", darwin))
	c := b.mustCapture(Options{
		Dirs: []string{b.dir("")}, Platforms: []Platform{linux, darwin},
		Toolchains: []string{"none", "auto", "1.22.0", "go1.23.5", "go1.22.0"},
	})
	var got []string
	for _, tc := range c.Toolchains {
		got = append(got, tc.Version+" "+tc.Platform.String())
	}
	want := []string{"go1.23.5 darwin/arm64", "go1.23.5 linux/amd64", "go1.22.0 darwin/arm64", "go1.22.0 linux/amd64"}
	if c.GoVersion != "go1.23.5" || !slices.Equal(got, want) {
		t.Errorf("GoVersion = %s, Toolchains = %q, want %q", c.GoVersion, got, want)
	}
}

// A toolchain in the user's cache is used where it lies, and described as one
// that was fetched is.
func TestToolchainFromCache(t *testing.T) {
	b := newToolchainBench(t, nil)
	opts := Options{Toolchains: []string{"go1.23.5"}, Platforms: []Platform{linux, darwin, linux}}
	fetched := b.mustCapture(opts)
	b.write("project/go.mod", "module example.com/app\n")
	for _, p := range []Platform{linux, darwin} {
		b.goCmd("", "mod", "download", toolchainPath+"@"+toolchainVersion("go1.23.5", p))
	}
	for _, ext := range []string{".info", ".mod"} {
		if err := os.Remove(filepath.Join(b.cache, "cache/download", toolchainPath, "@v", toolchainVersion("go1.23.5", linux)+ext)); err != nil {
			t.Fatal(err)
		}
	}
	b.proxy = "off"
	cached := b.mustCapture(opts)
	for i, p := range []Platform{darwin, linux} {
		f, c := fetched.Toolchains[i], cached.Toolchains[i]
		f.Module.Zip, c.Module.Zip = "", ""
		if f.Platform != p || string(f.Module.Info) != string(c.Module.Info) || string(f.Module.Mod) != string(c.Module.Mod) || f.Module.Size != c.Module.Size {
			t.Errorf("%s: fetched %+v, from the cache %+v", p, f, c)
		}
	}
	if len(cached.Toolchains) != 2 {
		t.Errorf("Toolchains = %+v", cached.Toolchains)
	}
}
