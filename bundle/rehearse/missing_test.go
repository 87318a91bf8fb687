package rehearse

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle"
)

func TestMissing(t *testing.T) {
	const extracted = "golang.org/x/mod/semver"
	for _, tc := range []struct {
		name  string
		asked string // a name a word; one that was there has a "+" before it
		want  string // "path@version:file,file" and so on
	}{
		{"nothing was asked for", "", ""},
		{"all was there", "+golang.org/x/mod/@v/v0.42.0.mod +golang.org/x/mod/@v/v0.42.0.zip", ""},
		{"a zip", "+a.com/m/@v/v1.0.0.mod a.com/m/@v/v1.0.0.zip", "a.com/m@v1.0.0:zip"},
		{"several files of one version", "a.com/m/@v/v1.0.0.zip a.com/m/@v/v1.0.0.mod", "a.com/m@v1.0.0:mod,zip"},
		{"an escaped name", "a.com/!big/@v/v1.0.0-!r!c1.zip", "a.com/Big@v1.0.0-RC1:zip"},
		{"a version that is no version", "a.com/m/@v/master.info", "a.com/m@master:info"},
		{"a query", "a.com/m/@v/list a.com/m/@latest", "a.com/m:latest,list"},
		{"latest of a module that is listed", "+a.com/m/@v/list a.com/m/@latest", ""},
		{"the longest of the paths that a package's module could have", "a.com/@v/list a.com/m/@v/list a.com/m/p/@v/list", "a.com/m/p:list"},
		{"the same with a version", "a.com/@v/v1.2.3.info a.com/m/@v/v1.2.3.info", "a.com/m@v1.2.3:info"},
		{"the paths around a module that was there", "golang.org/x/@v/list golang.org/x/mod/semver/@v/list +golang.org/x/mod/@v/list", ""},
		{"a module inside of one that was there", "+golang.org/x/mod/@v/list golang.org/x/mod/other/@v/list", "golang.org/x/mod/other:list"},
		{"two modules that begin alike", "a.com/@v/list a.com/m/@v/list a.com/n/@v/list", "a.com/m:list a.com/n:list"},
		{"a name that goes on without a slash", "+a.com/m/@v/list a.com/mm/@v/list", "a.com/mm:list"},
		{"the record in the checksum database", "sumdb/sum.golang.org/lookup/a.com/!m@v1.0.0", "a.com/M@v1.0.0:sum"},
		{"what says whether there is a checksum database", "sumdb/sum.golang.org/supported sumdb/sum.golang.org/tile/8/0/000", ""},
		{"what the go command does not ask", "favicon.ico a.com/@v/x a.com/M/@v/list /@v/list ../@v/v1.0.0.zip", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := make(map[string]bool)
			for name := range strings.FieldsSeq(tc.asked) {
				rest, found := strings.CutPrefix(name, "+")
				asked[rest] = found
			}
			var got []string
			for _, m := range missing(asked, func(_, pkg string) bool { return pkg == extracted }) {
				got = append(got, m.String()+":"+strings.Join(m.Files, ","))
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("missing(%q) = %q, want %q", tc.asked, got, tc.want)
			}
		})
	}
}

// FuzzMissing holds that whatever a program asks of the proxy makes at most one complaint, about a path
// and a version that a module can have.
func FuzzMissing(f *testing.F) {
	for _, name := range []string{"a.com/m/@v/v1.0.0.zip", "a.com/m/@latest", "a.com/!m/@v/list", "sumdb/s/lookup/a.com/m@v1.0.0", "@v/.", "a/@v/@v/list", "sumdb//lookup/@", "a.com/../@v/v1.0.0.mod", "a.com/m/@v/\x1b[2J.info"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		list := missing(map[string]bool{name: false}, func(string, string) bool { return false })
		for _, m := range list {
			if _, err := module.EscapePath(m.Module); err != nil || len(list) > 1 || m.Version != "" && !fs.ValidPath(m.Version) {
				t.Errorf("missing(%q) = %v", name, list)
			}
		}
	})
}

func TestFlag(t *testing.T) {
	record := &bundle.Record{
		Modules:  []bundle.RecordModule{{Path: "a.com/graph", Version: "v1.0.0"}, {Path: "github.com/o/carried", Version: "v1.0.0"}},
		Projects: []bundle.Project{{Path: "a.com/app", GoSum: "a.com/summed v1.0.0/go.mod h1:x=\n"}},
	}
	required := map[module.Version]bool{{Path: "a.com/required", Version: "v1.0.0"}: true}
	zip := []string{"zip"}
	for _, tc := range []struct {
		scope string
		m     Missing
		want  string
	}{
		{"dev", Missing{Module: "go", Version: "1.27.0"}, "--toolchain go1.27.0"},
		{"dev", Missing{Module: "a.com/m", Version: "v1.0.0", Files: zip}, "--module a.com/m@v1.0.0"},
		{"build", Missing{Module: "a.com/m", Version: "v1.0.0", Files: zip}, "--module a.com/m@v1.0.0"},
		{"build", Missing{Module: "a.com/graph", Version: "v1.0.0", Files: zip}, "--scope dev"},
		{"build", Missing{Module: "a.com/summed", Version: "v1.0.0", Files: zip}, "--scope dev"},
		{"build", Missing{Module: "a.com/required", Version: "v1.0.0", Files: []string{"info"}}, "--scope dev"},
		{"build", Missing{Module: "a.com/required", Version: "v1.0.0", Files: zip}, "--module a.com/required@v1.0.0"},
		{"dev", Missing{Module: "a.com/graph", Version: "v1.0.0", Files: zip}, "--scope all"},
		{"all", Missing{Module: "a.com/graph", Version: "v1.0.0", Files: zip}, "--module a.com/graph@v1.0.0"},
		{"dev", Missing{Module: "a.com/m/p"}, "--module a.com/m/p@latest"},
		{"dev", Missing{Module: "github.com/o/r/p/q"}, "--module github.com/o/r@latest"},
		{"dev", Missing{Module: "github.com/o/r/v2"}, "--module github.com/o/r/v2@latest"},
		{"dev", Missing{Module: "golang.org/x/mod/semver"}, "--module golang.org/x/mod@latest"},
		{"dev", Missing{Module: "github.com/o/carried/nested"}, "--module github.com/o/carried/nested@latest"},
	} {
		record.Scope = tc.scope
		if got := flag(record, tc.m, required); got != tc.want {
			t.Errorf("flag(%s, %v) = %q, want %q", tc.scope, tc.m, got, tc.want)
		}
	}
}

func TestNewerGo(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "below")
	for name, text := range map[string]string{
		filepath.Join(dir, "go.mod"):    "module a.com/m\n\ngo 1.26.0\n",
		filepath.Join(below, "go.work"): "go 1.26.9\n",
		filepath.Join(below, "main.go"): "package main\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	newer, err := modfile.ParseLax("go.mod", []byte("module a.com/newer\n\ngo 1.27\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		have, dir string
		modules   []*modfile.File
		want      string
	}{
		{"go1.26.8", dir, nil, ""},
		{"go1.25.0", dir, nil, "1.26.0"},
		{"go1.26.8", below, nil, "1.26.9"},
		{"go1.26.8", dir, []*modfile.File{newer}, "1.27.0"},
		{"go1.27.1", dir, []*modfile.File{newer}, ""},
		{"", dir, []*modfile.File{newer}, ""}, // whatever is in PATH
	} {
		r := &Rehearsal{Bundle: &bundle.Unpacked{GoVersion: tc.have, GoEnv: []string{"GOTOOLCHAIN=local"}}}
		if got := r.newerGo(tc.dir, tc.modules); got != tc.want {
			t.Errorf("newerGo(%s) with %s = %q, want %q", tc.dir, tc.have, got, tc.want)
		}
	}
	r := &Rehearsal{Bundle: &bundle.Unpacked{GoVersion: "go1.25.0", GoEnv: []string{"GOTOOLCHAIN=auto"}}}
	if got := r.newerGo(dir, nil); got != "" {
		t.Errorf("newerGo where the go command may switch = %q, want none", got)
	}
}

func TestEnviron(t *testing.T) {
	r := &Rehearsal{
		Dir: "/rehearsal", Bundle: &bundle.Unpacked{GoVersion: "go1.26.8", GoEnv: []string{"GOPROXY=file:///x", "GOSUMDB=sum.test"}},
		user: []string{"PATH=/bin", "LC_ALL=C", "TERM=xterm", "GOFLAGS=-mod=mod", "GOPROXY=direct", "HTTPS_PROXY=http://proxy", "GIT_DIR=x", "HOME=/root", "TOKEN=secret"},
		how:  isolation{namespaces: true},
	}
	got := strings.Join(r.environ(), "\n")
	for _, want := range []string{"LC_ALL=C", "TERM=xterm", "GOSUMDB=sum.test", "GOENV=off"} {
		if !slices.Contains(strings.Split(got, "\n"), want) {
			t.Errorf("environ has no %s:\n%s", want, got)
		}
	}
	for _, bad := range []string{"GOFLAGS", "GOPROXY", "HTTPS_PROXY", "GIT_DIR", "/root", "secret"} {
		if strings.Contains(got, bad) {
			t.Errorf("environ has %s:\n%s", bad, got)
		}
	}
	r.how.namespaces = false
	if got := r.environ(); !slices.Contains(got, "HTTPS_PROXY="+closedPort) {
		t.Errorf("environ without namespaces has no HTTPS_PROXY=%s: %q", closedPort, got)
	}
}
