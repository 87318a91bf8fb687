package gomod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

// What was fetched is there when there is no network any more, and nothing but
// what never changes is kept.
func TestDownloadsKept(t *testing.T) {
	b := newToolchainBench(t, app)
	opts := Options{
		Dirs: []string{b.dir("")}, CacheDir: filepath.Join(b.root, "kept"),
		Toolchains: []string{"go1.23.5"}, Platforms: []Platform{linux, darwin},
	}
	fetched := b.mustCapture(opts)
	for _, m := range append(fetched.Modules, fetched.Toolchains[0].Module) {
		if !inside(m.Zip, opts.CacheDir) {
			t.Errorf("the zip of %s is %s", m.Path, m.Zip)
		}
	}
	for line := range strings.Lines(snapshot(t, opts.CacheDir, "download")) {
		if name, _, _ := strings.Cut(line, " -"); name != line && !isDownload(name) {
			t.Errorf("kept: %s", name)
		}
	}
	if err := os.RemoveAll(filepath.Join(opts.CacheDir, "captures")); err != nil {
		t.Fatal(err)
	}
	b.proxy = "off"
	kept := b.mustCapture(opts)
	if fromMemory(kept) {
		t.Error("the capture is remembered")
	}
	same(t, &Captured{Modules: kept.Modules, GraphOnly: kept.GraphOnly, Toolchains: kept.Toolchains},
		&Captured{Modules: fetched.Modules, GraphOnly: fetched.GraphOnly, Toolchains: fetched.Toolchains})
}

// What the user's cache has is not kept twice.
func TestDownloadsFromCache(t *testing.T) {
	b := newBench(t, app)
	b.goCmd("", "mod", "download", "example.com/b@v1.0.0")
	opts := Options{Dirs: []string{b.dir("")}, CacheDir: filepath.Join(b.root, "kept")}
	for _, m := range b.mustCapture(opts).Modules {
		if want := m.Path == "example.com/b"; inside(m.Zip, b.cache) != want || inside(m.Zip, opts.CacheDir) == want {
			t.Errorf("the zip of %s is %s", m.Path, m.Zip)
		}
	}
}

// What a capture has fetched before it fails is kept.
func TestDownloadsAfterFailure(t *testing.T) {
	b := newBench(t, app)
	if err := os.Remove(filepath.Join(b.root, "proxy/example.com/b/@v/v1.0.0.zip")); err != nil {
		t.Fatal(err)
	}
	opts := Options{Dirs: []string{b.dir("")}, CacheDir: filepath.Join(b.root, "kept"), Scope: Build}
	if _, err := b.capture(opts); err == nil {
		t.Fatal("captured without a zip")
	}
	g := &goCommand{kept: filepath.Join(opts.CacheDir, "download")}
	if name, _ := g.find(module.Version{Path: "example.com/a", Version: "v1.0.0"}); name == "" {
		t.Error("a is not kept")
	}
}

// A CacheDir that cannot be written to costs time, and nothing else.
func TestDownloadsNotWritable(t *testing.T) {
	b := newBench(t, app)
	b.write("file", "")
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}, CacheDir: filepath.Join(b.root, "file", "kept")})
	if got := names(c.Modules); got != "a@v1.0.0 b@v1.0.0 c@v1.0.0" {
		t.Errorf("Modules = %s", got)
	}
	for _, m := range c.Modules {
		if info, err := os.Stat(m.Zip); err != nil || info.Size() != m.Size {
			t.Errorf("the zip of %s is %s: %v", m.Path, m.Zip, err)
		}
	}
}

func TestPublish(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "a", "b", "to")
	for _, text := range []string{"first", "second"} {
		if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := publish(from, to); err != nil {
			t.Error(err)
		}
		os.Remove(from)
	}
	if got := string(mustRead(t, to)); got != "first" {
		t.Errorf("published %q over the first", got)
	}
	if err := writeWhole(to, strings.NewReader("third")); err != nil || string(mustRead(t, to)) != "third" {
		t.Errorf("writeWhole: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(to)); len(left) != 1 {
		t.Errorf("left are %v", left)
	}
}

func TestIsDownload(t *testing.T) {
	for name, want := range map[string]bool{
		"example.com/a/@v/v1.0.0.zip":                             true,
		"example.com/a/@v/v1.0.0-!r!c1.info":                      true,
		"example.com/a/@v/v0.0.0-20240102030405-0123456789ab.mod": true,
		"golang.org/toolchain/@v/v0.0.1-go1.23.5.linux-amd64.zip": true,
		"example.com/a/@v/v2.0.0+incompatible.zip":                true,
		"example.com/a/@v/v1.0.0.ziphash":                         false,
		"example.com/a/@v/v1.0.0.lock":                            false,
		"example.com/a/@v/list":                                   false,
		"example.com/a/@v/v1.0.info":                              false,
		"example.com/a/@v/main.info":                              false,
		"example.com/a/@v/v1.0.0.zip123.tmp":                      false,
		"example.com/a/v1.0.0.zip":                                false,
		"cache/vcs/v1.0.0.zip":                                    false,
		"example.com/a/@v/v1.0.0-RC1.info":                        false,
	} {
		if got := isDownload(filepath.FromSlash(name)); got != want {
			t.Errorf("isDownload(%q) = %t", name, got)
		}
	}
}
