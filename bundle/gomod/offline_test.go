package gomod

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/module"
)

// What was captured is enough: with the capture for a proxy, and nothing else,
// the go command does everything that the scope promises.
func TestOffline(t *testing.T) {
	everyCommand := [][]string{
		{"build", "./..."}, {"vet", "./..."}, {"mod", "verify"}, {"mod", "graph"}, {"list", "-m", "-json", "all"},
		{"list", "-test", "all"}, {"mod", "tidy"}, {"mod", "vendor"},
	}
	for _, test := range []struct {
		name     string
		scope    Scope
		change   map[string]string // of app
		commands [][]string
	}{
		{"dev", Dev, nil, everyCommand},
		{"build", Build, nil, [][]string{{"build", "./..."}, {"vet", "./..."}, {"mod", "verify"}, {"mod", "graph"}, {"mod", "vendor"}}},
		{"all", All, nil, append(everyCommand, []string{"mod", "download", "all"})},
		{"go.mod names a version below the one selected", Dev, map[string]string{
			"go.mod": "module example.com/app\n\ngo 1.22\n\nrequire example.com/up v1.0.0\n\nrequire example.com/b v1.0.0\n",
			"app.go": "package app\n\nimport _ \"example.com/up\"\n",
		}, append([][]string{{"list", "-m", "-mod=mod", "all"}}, everyCommand...)},
		{"before graph pruning", Dev, map[string]string{"go.mod": "module example.com/app\n\ngo 1.15\n\nrequire example.com/a v1.0.0\n"}, everyCommand},
		{"build before graph pruning", Build, map[string]string{"go.mod": "module example.com/app\n\ngo 1.15\n\nrequire example.com/a v1.0.0\n"}, [][]string{{"build", "./..."}, {"mod", "verify"}}},
		{"workspace", Dev, map[string]string{"go.work": "go 1.23.4\n\nuse .\n\nuse ./y\n", "y/go.mod": "module example.com/y\n\ngo 1.23.4\n\nrequire example.com/b v1.1.0\n", "y/y.go": "package y\n\nimport _ \"example.com/b\"\n"}, [][]string{{"build", ".", "./y"}, {"list", "-m", "all"}, {"mod", "download"}, {"work", "sync"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, app)
			b.publish("example.com/up@v1.0.0", map[string]string{
				"go.mod": "module example.com/up\n\ngo 1.22\n\nrequire example.com/b v1.1.0\n", "up.go": "package up\n\nimport _ \"example.com/b\"\n",
			})
			for name, text := range test.change {
				b.write("project/"+name, text)
			}
			c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Scope: test.scope})
			proxy := filepath.Join(b.root, "carried")
			carry(t, c, proxy)
			b.proxy, b.cache = fileURL(proxy), filepath.Join(b.root, "isolated")
			if test.change["go.work"] == "" {
				b.flags = " -mod=mod" // there is no go.sum yet
			}
			for _, args := range test.commands {
				b.goCmd("", args...)
			}
		})
	}
}

// carry lays the capture out as a proxy.
func carry(t *testing.T, c *Captured, dir string) {
	t.Helper()
	write := func(m Module, ext string, data []byte) {
		name, err := escape(module.Version{Path: m.Path, Version: m.Version}, "/@v/")
		if err != nil {
			t.Fatal(err)
		}
		name = filepath.Join(dir, name+ext)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range append(c.Modules[:len(c.Modules):len(c.Modules)], c.GraphOnly...) {
		if m.Info != nil {
			write(m, ".info", m.Info)
		}
		if m.Mod != nil {
			write(m, ".mod", m.Mod)
		}
		if m.Zip != "" {
			data, err := os.ReadFile(m.Zip)
			if err != nil {
				t.Fatal(err)
			}
			write(m, ".zip", data)
		}
	}
}
