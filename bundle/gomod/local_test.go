package gomod

import (
	"archive/zip"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const libMod = "module example.com/lib\n\ngo 1.22\n\nrequire example.com/b v1.0.0\n"

// A directory brings what it requires, and a project can require it, whatever the user's cache has.
func TestLocal(t *testing.T) {
	b := newBench(t, map[string]string{
		"go.mod": "module example.com/app\n\ngo 1.22\n\nrequire example.com/lib v1.4.0\n\nrequire example.com/b v1.0.0 // indirect\n",
		"app.go": "package app\n\nimport _ \"example.com/lib\"\n",
	})
	b.write("lib/go.mod", libMod)
	b.write("lib/lib.go", "package lib\n\nimport _ \"example.com/b\"\n")
	lib := Local{filepath.Join(b.root, "lib"), "v1.4.0"}
	kept := filepath.Join(b.root, "kept")
	before := snapshot(t, b.root, "lib", "project")
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Locals: []Local{lib}, CacheDir: kept})
	if got := names(c.Modules); got != "b@v1.0.0 lib@v1.4.0" {
		t.Errorf("Modules = %s", got)
	}
	if m := c.Modules[1]; !m.Local || string(m.Mod) != libMod || string(m.Info) != `{"Version":"v1.4.0","Time":"1970-01-01T00:00:00Z"}` || c.Modules[0].Local {
		t.Errorf("Modules = %+v", c.Modules)
	}
	if len(c.Extra) > 0 {
		t.Errorf("Extra = %v, it is for what Modules named", c.Extra)
	}
	if after := snapshot(t, b.root, "lib", "project"); after != before {
		t.Errorf("the user's files are\n%s\nwere\n%s", after, before)
	}
	if _, err := os.Stat(filepath.Join(kept, "download/example.com/lib")); err == nil {
		t.Error("what was made of a directory is kept as if it had been fetched")
	}

	b.publish("example.com/lib@v1.4.0", map[string]string{"go.mod": libMod, "lib.go": "package lib\n"})
	b.goCmd("", "mod", "download", "example.com/lib@v1.4.0")
	cached := snapshot(t, b.root, "cache")
	if _, err := b.capture(Options{Locals: []Local{lib}}); !errors.Is(err, ErrTaken) {
		t.Errorf("a version that was fetched with other content: %v", err)
	}
	b.write("lib/lib.go", "package lib\n")
	if c := b.mustCapture(Options{Locals: []Local{lib}}); names(c.Modules) != "b@v1.0.0 lib@v1.4.0" || !c.Modules[1].Local {
		t.Errorf("Modules = %+v", c.Modules)
	}
	if after := snapshot(t, b.root, "cache"); after != cached {
		t.Errorf("the user's cache is\n%s\nwas\n%s", after, cached)
	}
}

// Of a directory counts what the go command would take, and of a git repository what git tracks.
func TestLocalFiles(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("this test needs git")
	}
	b := newBench(t, nil)
	for name, text := range map[string]string{
		"go.mod": libMod, "lib.go": "package lib\n", "docs/x.md": "x", "vendor/example.com/b/b.go": "package b\n",
		"sub/go.mod": "module example.com/lib/sub\n", "sub/sub.go": "package sub\n", "release.key": "secret",
	} {
		b.write("lib/"+name, text)
	}
	lib := Local{filepath.Join(b.root, "lib"), "v0.0.0-20240102030405-abcdefabcdef"}
	c := b.mustCapture(Options{Locals: []Local{lib}})
	if got := zipNames(t, c, "lib"); got != "docs/x.md go.mod lib.go release.key" {
		t.Errorf("files = %s", got)
	}
	if want := `"Time":"2024-01-02T03:04:05Z"`; !strings.Contains(string(c.Modules[1].Info), want) {
		t.Errorf("info %s has no %s", c.Modules[1].Info, want)
	}

	git := func(args ...string) {
		t.Helper()
		gitIn(t, b, lib.Dir, args...)
	}
	git("init", "-q")
	if _, err := b.capture(Options{Locals: []Local{lib}}); !errors.Is(err, ErrLocal) {
		t.Errorf("go.mod is not tracked: %v", err)
	}
	git("add", "go.mod", "lib.go", "docs")
	c = b.mustCapture(Options{Locals: []Local{lib}})
	if got := zipNames(t, c, "lib"); got != "docs/x.md go.mod lib.go" {
		t.Errorf("files = %s", got)
	}
	if !b.warned("example.com/lib@v0.0.0-", "git", ": release.key") {
		t.Errorf("warnings %q", b.warnings)
	}
}

// gitIn runs git in a directory.
func gitIn(t *testing.T, b *bench, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, append(b.env(), "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// A repository's settings name no command that is run, and no other repository says what is tracked.
func TestLocalForeignGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("this test needs git")
	}
	b := newBench(t, nil)
	for name, text := range map[string]string{
		"lib/go.mod": libMod, "lib/lib.go": "package lib\n", "lib/release.key": "secret",
		"other/go.mod": libMod, "other/lib.go": "package lib\n", "other/release.key": "of a test",
		"run.sh": "#!/bin/sh\ntouch \"$0.ran\"\n",
	} {
		b.write(name, text)
	}
	lib, run := Local{filepath.Join(b.root, "lib"), "v1.0.0"}, filepath.Join(b.root, "run.sh")
	if err := os.Chmod(run, 0o755); err != nil {
		t.Fatal(err)
	}
	gitIn(t, b, filepath.Join(b.root, "other"), "init", "-q")
	gitIn(t, b, filepath.Join(b.root, "other"), "add", ".")
	gitIn(t, b, lib.Dir, "init", "-q")
	gitIn(t, b, lib.Dir, "add", "go.mod", "lib.go")
	gitIn(t, b, lib.Dir, "config", "core.fsmonitor", run)
	env := []string{"GIT_DIR=" + filepath.Join(b.root, "other", ".git")}
	c := b.mustCapture(Options{Locals: []Local{lib}, Env: env})
	if got := zipNames(t, c, "lib"); got != "go.mod lib.go" {
		t.Errorf("files = %s", got)
	}
	if _, err := os.Stat(run + ".ran"); err == nil {
		t.Error("a command that the repository names was run")
	}
}

func zipNames(t *testing.T, c *Captured, module string) string {
	t.Helper()
	for _, m := range c.Modules {
		if m.Path != "example.com/"+module {
			continue
		}
		z, err := zip.OpenReader(m.Zip)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		var files []string
		for _, f := range z.File {
			files = append(files, strings.TrimPrefix(f.Name, m.Path+"@"+m.Version+"/"))
		}
		slices.Sort(files)
		return strings.Join(files, " ")
	}
	t.Fatalf("no %s among %v", module, c.Modules)
	return ""
}

func TestLocalErrors(t *testing.T) {
	b := newBench(t, nil)
	b.write("lib/go.mod", libMod)
	b.write("lib/lib.go", "package lib\n")
	b.write("two/go.mod", "module example.com/two/v2\n")
	b.write("none/x.go", "package x\n")
	b.write("plain/go.mod", "module plain\n")
	b.write("go/go.mod", "module golang.org/toolchain\n")
	b.write("huge/go.mod", "module example.com/huge\n"+strings.Repeat("// \n", 4<<20))
	if err := errors.Join(os.Mkdir(filepath.Join(b.root, "link"), 0o755), os.Symlink("../lib/go.mod", filepath.Join(b.root, "link/go.mod"))); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Local{
		"no directory":          {"nowhere", "v1.0.0"},
		"no go.mod":             {"none", "v1.0.0"},
		"not that major":        {"lib", "v2.0.0"},
		"path without that":     {"two", "v1.0.0"},
		"incompatible":          {"lib", "v2.0.0+incompatible"},
		"build metadata":        {"lib", "v1.0.0+meta"},
		"a query":               {"lib", "latest"},
		"not a canonical one":   {"lib", "v1.0"},
		"no dot in the path":    {"plain", "v1.0.0"},
		"a link to a go.mod":    {"link", "v1.0.0"},
		"a large go.mod":        {"huge", "v1.0.0"},
		"a toolchain":           {"go", "v0.0.1-go1.26.8.linux-amd64"},
		"a way out of the tree": {"lib", "v1.0.0-../../x"},
	} {
		l.Dir = filepath.Join(b.root, l.Dir)
		if _, err := b.capture(Options{Locals: []Local{l}}); !errors.Is(err, ErrLocal) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
