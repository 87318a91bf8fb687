package gomod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

func TestUntidy(t *testing.T) {
	b := newBench(t, app)
	b.write("project/more.go", "package app\n\nimport _ \"example.com/c\"\nimport _ \"example.com/app/generated\"\n")
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
	if got := names(c.Modules); got != "a@v1.0.0 b@v1.0.0 c@v1.0.0" {
		t.Errorf("Modules = %s", got)
	}
	if !b.warned("example.com/app/generated") {
		t.Errorf("warnings %q", b.warnings)
	}
}

func TestReplace(t *testing.T) {
	b := newBench(t, app)
	b.write("project/go.mod", app["go.mod"]+"\nreplace example.com/b => example.com/b v1.1.0\n\nreplace example.com/c => ../elsewhere/c\n")
	b.write("elsewhere/c/go.mod", "module example.com/c\n")
	b.write("elsewhere/c/c.go", "package c\n")
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}, Scope: Dev})
	if got := names(c.Modules); got != "a@v1.0.0 b@v1.1.0" {
		t.Errorf("Modules = %s", got)
	}
	if !b.warned("example.com/c", "../elsewhere/c", "outside") {
		t.Errorf("warnings %q", b.warnings)
	}
}

// What replaces a module of the graph alone is captured as anything else, whatever is private.
func TestReplaceInGraph(t *testing.T) {
	for _, gonoproxy := range []string{"", "corp.test"} {
		b := newBench(t, app)
		b.gonoproxy = gonoproxy
		b.publish("example.com/old@v1.1.0", map[string]string{"go.mod": "module example.com/old\n", "old.go": "package old\n"})
		b.write("project/go.mod", app["go.mod"]+"\nreplace example.com/old => example.com/old v1.1.0\n")
		c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
		if names(c.GraphOnly) != "old@v1.1.0" || string(c.GraphOnly[0].Info) != `{"Version":"v1.1.0","Time":"2024-05-06T07:08:09Z"}` {
			t.Errorf("GONOPROXY=%s: GraphOnly = %+v", gonoproxy, c.GraphOnly)
		}
		if len(b.warnings) > 0 {
			t.Errorf("GONOPROXY=%s: warnings %q", gonoproxy, b.warnings)
		}
	}
}

func TestReplaceInWorkspace(t *testing.T) {
	b := newBench(t, map[string]string{
		"go.work":  "go 1.22\n\nuse ./x\n\nreplace example.com/c => ../elsewhere/c\n",
		"x/go.mod": "module example.com/x\n\ngo 1.22\n\nrequire example.com/c v1.0.0\n",
		"x/x.go":   "package x\n\nimport _ \"example.com/c\"\n",
	})
	b.write("elsewhere/c/go.mod", "module example.com/c\n\ngo 1.22\n\nrequire example.com/b v1.1.0\n")
	b.write("elsewhere/c/c.go", "package c\n\nimport _ \"example.com/b\"\n")
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
	if got := names(c.Modules); got != "b@v1.1.0 c@v1.0.0" { // the latter for the member alone
		t.Errorf("Modules = %s", got)
	}
	if !b.warned("example.com/c", "../elsewhere/c", "outside") {
		t.Errorf("warnings %q", b.warnings)
	}
}

func TestWorkspace(t *testing.T) {
	b := newBench(t, map[string]string{
		"go.work":  "go 1.23.4\n\nuse ./x\n\nuse ./y\n",
		"x/go.mod": "module example.com/x\n\ngo 1.22\n\nrequire example.com/b v1.0.0\n\nreplace example.com/lib => ../lib\n\nrequire example.com/lib v0.0.0\n",
		"x/x.go":   "package x\n\nimport _ \"example.com/b\"\nimport _ \"example.com/lib\"\n",
		"y/go.mod": "module example.com/y\n\ngo 1.23.4\n\nrequire example.com/b v1.1.0\n",
		"y/y.go":   "package y\n\nimport _ \"example.com/b\"\n", "lib/go.mod": "module example.com/lib\n", "lib/lib.go": "package lib\n",
	})
	before := snapshot(t, b.root, "project")
	for _, dir := range []string{"", "x"} {
		c := b.mustCapture(Options{Dirs: []string{b.dir(dir)}})
		// In a workspace "go mod download" means the whole graph: so old.
		if got := names(c.Modules); got != "b@v1.0.0 b@v1.1.0 old@v1.0.0" {
			t.Errorf("in %q Modules = %s", dir, got)
		}
		var projects []string
		for _, p := range c.Projects {
			projects = append(projects, fmt.Sprintf("%s:%t:%t", p.Path, p.GoMod != nil, p.GoWork != nil))
		}
		if got := strings.Join(projects, " "); got != ":false:true example.com/x:true:false example.com/y:true:false" {
			t.Errorf("in %q Projects = %s", dir, got)
		}
		if len(b.warnings) > 0 {
			t.Errorf("warnings %q", b.warnings)
		}
	}
	if after := snapshot(t, b.root, "project"); after != before {
		t.Errorf("project is\n%s\nwas\n%s", after, before)
	}
}

func TestExtraModules(t *testing.T) {
	for _, test := range []struct {
		name, path, version string
		want                string
	}{
		{"replace directives are dropped", "example.com/Tool", "v1.2.0", "Tool@v1.2.0 b@v1.0.0"},
		{"query", "example.com/b", "latest", "b@v1.1.0"},
		{"no version is latest", "example.com/b", "", "b@v1.1.0"},
		{"tests of it count", "example.com/a", "v1", "a@v1.0.0 b@v1.0.0 c@v1.0.0"},
		{"no go.mod", "example.com/legacy", "v1.0.0", "legacy@v1.0.0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, nil)
			c := b.mustCapture(Options{Modules: []module.Version{{Path: test.path, Version: test.version}}})
			if got := names(c.Modules); got != test.want {
				t.Errorf("Modules = %s, want %s", got, test.want)
			}
			if len(c.Projects) > 0 {
				t.Errorf("Projects = %v", c.Projects)
			}
		})
	}
}

// What dependants see of a module is its .mod file, and of that not all.
func TestExtraModuleModFile(t *testing.T) {
	for _, test := range []struct{ name, goMod, file string }{
		{"zip without go.mod", "module example.com/m\n\nrequire example.com/b v1.0.0\n", "m.go"},
		{"zip with another go.mod", "module example.com/m\n\nrequire example.com/b v1.0.0\n", "go.mod"},
		{"lines for a main module", "module example.com/m\n\ngo 1.22\n\nreplace example.com/b v1.0.0 => ../b v1.0.0\n\nfrom tomorrow (\n\tx y\n)\n\nrequire example.com/b v1.0.0 // indirect\n", "go.mod"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.publish("example.com/m@v1.0.0", map[string]string{test.file: "package m\n"})
			b.write("proxy/example.com/m/@v/v1.0.0.mod", test.goMod)
			c := b.mustCapture(Options{Modules: []module.Version{{Path: "example.com/m", Version: "v1.0.0"}}})
			if got := names(c.Modules); got != "b@v1.0.0 m@v1.0.0" {
				t.Errorf("Modules = %s", got)
			}
		})
	}
}

// "latest" is what the proxy says, not what the cache happens to have.
func TestLatestNotFromCache(t *testing.T) {
	b := newBench(t, app)
	b.goCmd("", "mod", "download", "example.com/b@v1.0.0")
	c := b.mustCapture(Options{Modules: []module.Version{{Path: "example.com/b", Version: "latest"}}})
	if got := names(c.Modules); got != "b@v1.1.0" {
		t.Errorf("Modules = %s", got)
	}
}

func TestGoSum(t *testing.T) {
	b := newBench(t, app)
	sum, modSum := "h1:"+strings.Repeat("A", 43)+"=", "h1:"+strings.Repeat("B", 43)+"="
	b.write("project/go.sum", "example.com/a v1.0.0 "+sum+"\nexample.com/a v1.0.0/go.mod "+modSum+"\n")
	c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
	if s, m := c.GoSum("example.com/a", "v1.0.0"); s != sum || m != modSum {
		t.Errorf("GoSum = %q, %q; a wrong go.sum is for the caller to find", s, m)
	}
	if s, m := c.GoSum("example.com/b", "v1.0.0"); s != "" || m != "" {
		t.Errorf("GoSum of what go.sum does not have = %q, %q", s, m)
	}
	b.write("project2/go.mod", "module example.com/two\n")
	b.write("project2/go.sum", "example.com/a v1.0.0 "+modSum+"\n")
	if _, err := b.capture(Options{Dirs: []string{b.dir(""), filepath.Join(b.root, "project2")}}); err == nil {
		t.Error("two projects with different sums for one module are captured together")
	}
}

func TestErrors(t *testing.T) {
	b := newBench(t, app)
	b.write("empty/x", "")
	b.write("project/missing/go.mod", "module example.com/missing\n\ngo 1.22\n\nrequire example.com/none v1.0.0\n")
	b.write("project/missing/m.go", "package m\n\nimport _ \"example.com/none\"\n")
	b.write("project/bad/go.mod", "module\n")
	for _, test := range []struct {
		name string
		opts Options
		want func(error) bool
	}{
		{"no go.mod", Options{Dirs: []string{filepath.Join(b.root, "empty")}}, func(err error) bool { return errors.Is(err, ErrNoProject) }},
		{"no directory", Options{Dirs: []string{b.dir("nothing")}}, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		{"a file", Options{Dirs: []string{b.dir("app.go")}}, func(err error) bool { return strings.Contains(err.Error(), "not a directory") }},
		{"bad go.mod", Options{Dirs: []string{b.dir("bad")}}, func(err error) bool { return strings.Contains(err.Error(), "go.mod:1") }},
		{"module of the graph missing", Options{Dirs: []string{b.dir("missing")}}, func(err error) bool { return strings.Contains(err.Error(), "example.com/none@v1.0.0") }},
		{"extra module missing", Options{Modules: []module.Version{{Path: "example.com/none", Version: "v1.0.0"}}}, func(err error) bool {
			e, ok := errors.AsType[*ModuleError](err)
			return ok && e.Path == "example.com/none" && e.Version == "v1.0.0"
		}},
		{"extra module malformed", Options{Modules: []module.Version{{Path: "-x", Version: "v1"}}}, func(err error) bool { return true }},
		{"no go command", Options{Dirs: []string{b.dir("")}, Go: filepath.Join(b.root, "nogo")}, func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := b.capture(test.opts); err == nil || !test.want(err) {
				t.Errorf("Capture: %v", err)
			}
		})
	}
}

func TestZipMissing(t *testing.T) {
	b := newBench(t, app)
	if err := os.Remove(filepath.Join(b.root, "proxy/example.com/b/@v/v1.0.0.zip")); err != nil {
		t.Fatal(err)
	}
	_, err := b.capture(Options{Dirs: []string{b.dir("")}, Scope: Build})
	if e, ok := errors.AsType[*ModuleError](err); !ok || e.Path != "example.com/b" {
		t.Errorf("Capture: %v", err)
	}
}

func TestCancel(t *testing.T) {
	b := newBench(t, app)
	ctx, cancel := context.WithCancel(t.Context())
	temp := t.TempDir()
	_, err := Capture(ctx, Options{Dirs: []string{b.dir("")}, Env: b.env(), TempDir: temp, Progress: func(Event) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Capture: %v", err)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Members of a workspace find each other where they are, whether they require each other or not.
func TestMembersImportEachOther(t *testing.T) {
	for name, test := range map[string]struct {
		require string
		warned  bool
	}{
		"not required":          {"", false},
		"in no version":         {"require example.com/unpublished v0.0.0\n", false},
		"in one nobody has":     {"require example.com/unpublished v1.9.0\n", true},
		"replaced by a version": {"require example.com/unpublished v1.9.0\n\nreplace example.com/unpublished => example.com/b v1.0.0\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, map[string]string{
				"go.work":  "go 1.22\n\nuse ./x\n\nuse ./y\n",
				"x/go.mod": "module example.com/x\n\ngo 1.22\n\n" + test.require,
				"x/x.go":   "package x\n\nimport _ \"example.com/unpublished\"\n",
				"y/go.mod": "module example.com/unpublished\n\ngo 1.22\n\nrequire example.com/b v1.0.0\n",
				"y/y.go":   "package unpublished\n\nimport _ \"example.com/b\"\n",
			})
			c := b.mustCapture(Options{Dirs: []string{b.dir("")}})
			if got := names(c.Modules); got != "b@v1.0.0 old@v1.0.0" {
				t.Errorf("Modules = %s", got)
			}
			if got := b.warned("example.com/x", "in its workspace alone", "unpublished@v1.9.0"); got != test.warned || !got && len(b.warnings) > 0 {
				t.Errorf("warnings %q", b.warnings)
			}
		})
	}
}
