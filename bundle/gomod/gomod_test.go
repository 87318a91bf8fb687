package gomod

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// app is a tidy project that needs a and b.
var app = map[string]string{
	"go.mod": "module example.com/app\n\ngo 1.22\n\nrequire example.com/a v1.0.0\n\nrequire example.com/b v1.0.0 // indirect\n",
	"app.go": "package app\n\nimport _ \"example.com/a\"\n",
}

func TestScope(t *testing.T) {
	for _, test := range []struct {
		scope      Scope
		zips, rest string
	}{
		{Build, "a@v1.0.0 b@v1.0.0", ""},
		{Dev, "a@v1.0.0 b@v1.0.0 c@v1.0.0", "old@v1.0.0"},
		{"", "a@v1.0.0 b@v1.0.0 c@v1.0.0", "old@v1.0.0"},
		{All, "a@v1.0.0 b@v1.0.0 c@v1.0.0 old@v1.0.0", ""},
	} {
		t.Run("scope "+string(test.scope), func(t *testing.T) {
			b := newBench(t, app)
			c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Scope: test.scope})
			if got := names(c.Modules); got != test.zips {
				t.Errorf("Modules = %s, want %s", got, test.zips)
			}
			if got := names(c.GraphOnly); got != test.rest {
				t.Errorf("GraphOnly = %s, want %s", got, test.rest)
			}
			for _, m := range c.Modules {
				if info, err := os.Stat(m.Zip); err != nil || info.Size() != m.Size || len(m.Mod) == 0 {
					t.Errorf("%s: zip %v, size %d, mod %q", m.Path, err, m.Size, m.Mod)
				}
				if want := `{"Version":"v1.0.0","Time":"2024-05-06T07:08:09Z"}`; string(m.Info) != want {
					t.Errorf("%s: info %s, want %s", m.Path, m.Info, want)
				}
			}
			if len(b.warnings) > 0 {
				t.Errorf("warnings %q", b.warnings)
			}
		})
	}
}

// A graph-only module that is gone ends no capture: scope all warns.
func TestAllWithoutGraphModule(t *testing.T) {
	b := newBench(t, app)
	if err := os.Remove(filepath.Join(b.root, "proxy/example.com/old/@v/v1.0.0.zip")); err != nil {
		t.Fatal(err)
	}
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Scope: All})
	if got := names(c.Modules); got != "a@v1.0.0 b@v1.0.0 c@v1.0.0" {
		t.Errorf("Modules = %s", got)
	}
	if !b.warned("not captured", "example.com/old@v1.0.0") {
		t.Errorf("warnings %q", b.warnings)
	}
}

// A module of the graph without .info costs "go list -m" that module, and is
// said; the .mod files of the others are no more than before.
func TestGraphModuleWithoutInfo(t *testing.T) {
	b := newBench(t, app)
	if err := os.Remove(filepath.Join(b.root, "proxy/example.com/old/@v/v1.0.0.info")); err != nil {
		t.Fatal(err)
	}
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
	if got := names(c.Modules); got != "a@v1.0.0 b@v1.0.0 c@v1.0.0" {
		t.Errorf("Modules = %s", got)
	}
	if !b.warned("not captured", "example.com/old@v1.0.0") {
		t.Errorf("warnings %q", b.warnings)
	}
}

// The capture is the same whatever the user's cache has, and the cache and the
// project are the same afterwards.
func TestAnyCache(t *testing.T) {
	b := newBench(t, app)
	want := describe(t, b.mustCapture(Options{Dirs: []string{b.dir("")}}))
	if _, err := os.Stat(b.cache); err == nil {
		t.Error("capture made a GOMODCACHE")
	}
	remove := func(glob string) func(*bench) {
		return func(b *bench) {
			found, err := filepath.Glob(filepath.Join(b.cache, filepath.FromSlash(glob)))
			if err != nil || len(found) == 0 {
				b.t.Fatalf("%s: %v, %v", glob, found, err)
			}
			for _, name := range found {
				if err := os.RemoveAll(name); err != nil {
					b.t.Fatal(err)
				}
			}
		}
	}
	for name, change := range map[string]func(*bench){
		"complete":    func(*bench) {},
		"no info":     remove("cache/download/example.com/*/@v/*.info"),
		"no mod":      remove("cache/download/example.com/*/@v/*.mod"),
		"no zip":      remove("cache/download/example.com/*/@v/*.zip"),
		"no ziphash":  remove("cache/download/example.com/*/@v/*.ziphash"),
		"no tree":     remove("example.com/*"),
		"no module b": remove("cache/download/example.com/b"),
		"only zips":   func(b *bench) { remove("example.com")(b); remove("cache/download/example.com/*/@v/*.*[!p]")(b) },
		"read-only":   func(b *bench) { chmodAll(b.t, b.cache, 0o555, 0o444) },
		"another version in it": func(b *bench) {
			b.goCmd("", "mod", "download", "example.com/b@v1.1.0", "example.com/Tool@v1.2.0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, app)
			b.goCmd("", "mod", "download", "all")
			os.Remove(b.dir("go.sum"))
			change(b)
			before := snapshot(t, b.root, "cache", "project")
			got := describe(t, b.mustCapture(Options{Dirs: []string{b.dir("")}}))
			if got != want {
				t.Errorf("capture is\n%s\nwant\n%s", got, want)
			}
			if after := snapshot(t, b.root, "cache", "project"); after != before {
				t.Errorf("the user's files are\n%s\nwere\n%s", after, before)
			}
			chmodAll(t, b.cache, 0o755, 0o644)
		})
	}
}

// What is in the cache is not fetched again, not even a private module, which
// no proxy is asked for.
func TestPrivateFromCache(t *testing.T) {
	b := newBench(t, app)
	b.goCmd("", "mod", "download", "all")
	os.Remove(b.dir("go.sum"))
	b.proxy, b.gonoproxy = "off", "example.com/*"
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
	if got := names(c.Modules); got != "a@v1.0.0 b@v1.0.0 c@v1.0.0" {
		t.Errorf("Modules = %s", got)
	}
	if c.Env.GONOPROXY != b.gonoproxy || c.Env.GOMODCACHE != b.cache {
		t.Errorf("Env = %+v", c.Env)
	}
}

// describe writes down everything of a capture that must not depend on the machine.
func describe(t *testing.T, c *Captured) string {
	t.Helper()
	var out bytes.Buffer
	for _, m := range slices.Concat(c.Modules, c.GraphOnly) {
		zip := []byte{}
		if m.Zip != "" {
			var err error
			if zip, err = os.ReadFile(m.Zip); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprintf(&out, "%s@%s %s %q %d %x\n", m.Path, m.Version, m.Info, m.Mod, m.Size, zip[:min(len(zip), 8)])
	}
	fmt.Fprintln(&out, c.GoVersion, len(c.Projects))
	return out.String()
}

// snapshot lists the files below root/dirs with what tells of a change.
func snapshot(t *testing.T, root string, dirs ...string) string {
	t.Helper()
	var out strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			fmt.Fprintln(&out, name, info.Mode(), info.Size(), info.ModTime())
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	return out.String()
}

func chmodAll(t *testing.T, root string, dirMode, fileMode fs.FileMode) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(name, dirMode)
		}
		return os.Chmod(name, fileMode)
	})
	if err != nil {
		t.Error(err)
	}
}
