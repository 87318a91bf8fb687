package gomod

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/module"
)

// remembering returns a project whose files are old enough to be remembered.
func remembering(t *testing.T, project map[string]string) (*bench, Options) {
	t.Helper()
	b := newToolchainBench(t, project)
	b.age()
	return b, Options{
		Dirs: []string{b.dir("")}, CacheDir: filepath.Join(b.root, "kept"),
		Toolchains: []string{"auto"}, Platforms: []Platform{linux},
	}
}

// tidySpace is a workspace with a replaced module, and one that is in its way.
var tidySpace = map[string]string{
	"go.work":       "go 1.22\n\nuse .\n\nuse ./y\n",
	"go.mod":        app["go.mod"] + "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ./lib\n",
	"app.go":        app["app.go"] + "import _ \"example.com/lib\"\n",
	"lib/go.mod":    "module example.com/lib\n\ngo 1.22\n",
	"lib/lib.go":    "package lib\n",
	"y/go.mod":      "module example.com/y\n\ngo 1.22\n\nrequire example.com/b v1.0.0\n",
	"y/y.go":        "package y\n\nimport _ \"example.com/b\"\n",
	"other/go.mod":  "module example.com/other\n",
	"other/o.go":    "package other\n",
	"vendor/v/v.go": "package v\n",
	".git/x.go":     "package x\n",
}

// age makes the files of the project look an hour old.
func (b *bench) age() {
	b.t.Helper()
	then := time.Now().Add(-time.Hour)
	err := filepath.Walk(b.dir(""), func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			err = os.Chtimes(name, then, then)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// fromMemory reports whether c was made without a scratch directory.
func fromMemory(c *Captured) bool { return c.remove == nil }

// same compares what c and d say, but for where the zips are.
func same(t *testing.T, c, d *Captured) {
	t.Helper()
	plain := func(c *Captured) []any {
		r := forgetPlaces(c, nil)
		return []any{r.Modules, r.GraphOnly, r.Toolchains, r.GoVersion, c.Projects, c.Env, c.sums}
	}
	if got, want := plain(c), plain(d); !reflect.DeepEqual(got, want) {
		t.Errorf("captured\n%v\nwant\n%v", got, want)
	}
}

func TestMemory(t *testing.T) {
	b, opts := remembering(t, tidySpace)
	first := b.mustCapture(opts)
	if fromMemory(first) {
		t.Fatal("the first capture is remembered")
	}
	if got := names(first.Modules); got != "a@v1.0.0 b@v1.0.0 c@v1.0.0 old@v1.0.0" {
		t.Errorf("Modules = %s", got)
	}
	var told []string
	opts.Progress = func(e Event) { told = append(told, e.Phase) }
	second := b.mustCapture(opts)
	if !fromMemory(second) {
		t.Fatal("the second capture is not remembered")
	}
	if got := strings.Join(told, " "); got != "capture capture capture capture toolchain" {
		t.Errorf("events %q", got)
	}
	same(t, second, first)
	opts.CacheDir = ""
	same(t, second, b.mustCapture(opts))
	if describe(t, second) != describe(t, first) {
		t.Errorf("captured\n%s\nwant\n%s", describe(t, second), describe(t, first))
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// What the same files may answer otherwise tomorrow is not remembered.
func TestMemoryUnsettled(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*bench, *Options)
	}{
		{"query", func(_ *bench, o *Options) {
			o.Modules = []module.Version{{Path: "example.com/b", Version: "v1"}}
		}},
		{"latest toolchain", func(_ *bench, o *Options) { o.Toolchains = []string{"auto", "latest"} }},
		{"untidy", func(b *bench, _ *Options) { b.write("project/z.go", "package app\n\nimport _ \"example.com/Tool\"\n") }},
		{"a package that is nowhere", func(b *bench, _ *Options) { b.write("project/z.go", "package app\n\nimport _ \"example.com/app/z\"\n") }},
		{"a module that is gone", func(b *bench, o *Options) {
			o.Scope = All
			b.publish("example.com/gone@v1.0.0", map[string]string{"gone.go": "package gone\n"})
			b.publish("example.com/d@v1.0.0", map[string]string{
				"go.mod": "module example.com/d\n\ngo 1.22\n\nrequire example.com/gone v1.0.0\n", "d.go": "package d\n",
			})
			b.write("project/go.mod", string(mustRead(b.t, b.dir("go.mod")))+"\nrequire example.com/d v1.0.0\n")
			b.write("project/d.go", "package app\n\nimport _ \"example.com/d\"\n")
			if err := os.Remove(filepath.Join(b.root, "proxy/example.com/gone/@v/v1.0.0.zip")); err != nil {
				b.t.Fatal(err)
			}
		}},
		{"a file of now", func(b *bench, _ *Options) {
			now := time.Now().Add(time.Hour)
			if err := os.Chtimes(b.dir("app.go"), now, now); err != nil {
				b.t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, opts := remembering(t, app)
			test.change(b, &opts)
			if test.name != "a file of now" {
				b.age()
			}
			b.mustCapture(opts)
			if found, _ := os.ReadDir(filepath.Join(opts.CacheDir, "captures")); len(found) > 0 {
				t.Error("is remembered")
			}
		})
	}
}

// Warnings are said again.
func TestMemoryWarns(t *testing.T) {
	b := newToolchainBench(t, map[string]string{
		"go.mod": "module example.com/app\n\ngo 1.20\n\nreplace example.com/x => ../x\n", "app.go": "package app\n",
	})
	b.age()
	opts := Options{Dirs: []string{b.dir("")}, CacheDir: filepath.Join(b.root, "kept"), Toolchains: []string{"auto"}}
	b.mustCapture(opts)
	want := b.warnings
	if c := b.mustCapture(opts); !fromMemory(c) || len(want) != 2 || !reflect.DeepEqual(b.warnings, want) {
		t.Errorf("remembered: %t, warnings %q, want %q", fromMemory(c), b.warnings, want)
	}
}

// A memory that is damaged, or whose zips have gone, is none.
func TestMemoryDamaged(t *testing.T) {
	b, opts := remembering(t, app)
	b.mustCapture(opts)
	found, err := filepath.Glob(filepath.Join(opts.CacheDir, "captures", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("remembered %v, %v", found, err)
	}
	zip := filepath.Join(opts.CacheDir, "download/example.com/b/@v/v1.0.0.zip")
	text, zipText := string(mustRead(t, found[0])), string(mustRead(t, zip))
	for name, damage := range map[string]func() error{
		"empty":     func() error { return os.WriteFile(found[0], nil, 0o600) },
		"cut short": func() error { return os.WriteFile(found[0], []byte(text[:len(text)/2]), 0o600) },
		"changed":   func() error { return os.WriteFile(found[0], []byte(strings.Replace(text, "v1", "v2", 1)), 0o600) },
		"gone":      func() error { return os.Remove(found[0]) },
		"no zip":    func() error { return os.Remove(zip) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if fromMemory(b.mustCapture(opts)) {
			t.Errorf("%s: is remembered", name)
		}
		if !fromMemory(b.mustCapture(opts)) {
			t.Errorf("%s: is not remembered again", name)
		}
	}
	if got := string(mustRead(t, zip)); got != zipText {
		t.Error("the zip is not what it was")
	}
	if err := os.WriteFile(zip, []byte(zipText+"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := b.capture(opts); err == nil && fromMemory(c) {
		t.Error("remembered with a zip of another size")
	}
}

func TestForget(t *testing.T) {
	dir := t.TempDir()
	for i := range maxMemories + 3 {
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
	}
	forget(dir)
	if left, _ := os.ReadDir(dir); len(left) != maxMemories {
		t.Errorf("%d are left", len(left))
	}
	if _, err := os.Stat(filepath.Join(dir, "2")); err == nil {
		t.Error("the oldest is left")
	}
}

// Several captures at once disturb one another as little as one after another.
func TestMemoryAtOnce(t *testing.T) {
	b, opts := remembering(t, app)
	opts.Env, opts.TempDir = b.env(), t.TempDir()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			c, err := Capture(t.Context(), opts)
			if err != nil || names(c.Modules) != "a@v1.0.0 b@v1.0.0 c@v1.0.0" {
				t.Errorf("Capture: %v", err)
			}
			c.Cgo()
			c.Close()
		})
	}
	wait.Wait()
	if !fromMemory(b.mustCapture(opts)) {
		t.Error("is not remembered")
	}
}

func FuzzParseMemory(f *testing.F) {
	good, err := formatMemory(remembered{Modules: []Module{{Path: "example.com/a", Version: "v1.0.0", Size: 1}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte("\n"))
	f.Add([]byte(strings.Repeat("0", 64) + "\n{}"))
	for _, data := range []string{`{"Modules":[{"Path":"../..","Version":"/"}]}`, `{"Modules":null}{`, `[[[[`, ``} {
		f.Add([]byte(sumLine([]byte(data)) + data))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if r, ok := parseMemory(file); ok {
			m := &memory{g: &goCommand{kept: t.TempDir()}}
			if m.findZips(&r) && len(r.Modules)+len(r.Toolchains) > 0 {
				t.Errorf("finds zips of %+v", r)
			}
			if _, err := hex.DecodeString(string(file[:64])); err != nil {
				t.Error(err)
			}
		}
	})
}
