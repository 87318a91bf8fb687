package gomod

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"

	"github.com/goferry/goferry/bundle/toolchain"
)

// The modules of the tests. Each has one package, and where it says so a test.
//
//	app ── a v1.0.0 ── b v1.0.0 ── old v1.0.0 (in the graph only)
//	        └─ test ── c v1.0.0 (which only tidy looks at)
var testModules = map[string]map[string]string{
	"example.com/a@v1.0.0": {
		"go.mod":    "module example.com/a\n\ngo 1.22\n\nrequire (\n\texample.com/b v1.0.0\n\texample.com/c v1.0.0\n)\n",
		"a.go":      "package a\n\nimport _ \"example.com/b\"\n",
		"a_test.go": "package a\n\nimport _ \"example.com/c\"\n",
	},
	"example.com/b@v1.0.0": {
		"go.mod": "module example.com/b\n\ngo 1.22\n\nrequire example.com/old v1.0.0\n",
		"b.go":   "package b\n",
	},
	"example.com/b@v1.1.0": {
		"go.mod": "module example.com/b\n\ngo 1.23.4\n",
		"b.go":   "package b\n",
	},
	"example.com/c@v1.0.0": {
		"go.mod": "module example.com/c\n\ngo 1.22\n",
		"c.go":   "package c\n",
	},
	"example.com/old@v1.0.0": {
		"go.mod": "module example.com/old\n",
		"old.go": "package old\n",
	},
	"example.com/Tool@v1.2.0": {
		"go.mod":  "module example.com/Tool\n\ngo 1.22\n\nrequire example.com/b v1.0.0\n\nreplace example.com/b => ../nowhere\n",
		"main.go": "package main\n\nimport _ \"example.com/b\"\n\nfunc main() {}\n",
	},
	"example.com/legacy@v1.0.0": {"legacy.go": "package legacy\n"},
}

// A bench is a project and a GOPROXY on disk, and an environment that knows
// nothing else.
type bench struct {
	t            *testing.T
	root         string
	proxy, cache string
	gonoproxy    string
	flags        string // more of GOFLAGS
	warnings     []string
}

func newBench(t *testing.T, project map[string]string) *bench {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, root: root, proxy: fileURL(filepath.Join(root, "proxy")), cache: filepath.Join(root, "cache")}
	// Else the go command leaves a process that writes there when the test has ended.
	b.write(".config/go/telemetry/mode", "off")
	for name, files := range testModules {
		b.publish(name, files)
	}
	for name, text := range project {
		b.write("project/"+name, text)
	}
	return b
}

func (b *bench) dir(name string) string { return filepath.Join(b.root, "project", name) }

func (b *bench) write(name, text string) {
	b.t.Helper()
	name = filepath.Join(b.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// publish puts a module into the proxy.
func (b *bench) publish(name string, files map[string]string) {
	b.t.Helper()
	path, version, _ := strings.Cut(name, "@")
	m := module.Version{Path: path, Version: version}
	var list []zip.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, zipFile{name, files[name]})
	}
	var z bytes.Buffer
	if err := zip.Create(&z, m, list); err != nil {
		b.t.Fatal(err)
	}
	goMod := files["go.mod"]
	if goMod == "" {
		goMod = "module " + path + "\n"
	}
	b.publishFiles(m, goMod, z.String())
}

func (b *bench) publishFiles(m module.Version, goMod, zip string) {
	b.t.Helper()
	name, err := escape(m, "/@v/")
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("proxy/"+name+".info", `{"Version":"`+m.Version+`","Time":"2024-05-06T07:08:09Z","Origin":{"VCS":"git"}}`)
	b.write("proxy/"+name+".mod", goMod)
	b.write("proxy/"+name+".zip", zip)
	list := filepath.ToSlash(filepath.Dir(name)) + "/list"
	old, _ := os.ReadFile(filepath.Join(b.root, "proxy", filepath.FromSlash(list)))
	b.write("proxy/"+list, string(old)+m.Version+"\n")
}

// publishToolchain puts into the proxy what a toolchain's zip looks like to
// the go command as long as it does not run it.
func (b *bench) publishToolchain(version string) {
	b.t.Helper()
	m := module.Version{Path: toolchainPath, Version: version}
	var z bytes.Buffer
	if err := zip.Create(&z, m, []zip.File{zipFile{"bin/go", "#!/bin/false\n"}}); err != nil {
		b.t.Fatal(err)
	}
	b.publishFiles(m, toolchain.GoMod, z.String())
}

type zipFile struct{ name, text string }

func (f zipFile) Path() string                 { return f.name }
func (f zipFile) Lstat() (fs.FileInfo, error)  { return f, nil }
func (f zipFile) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.text)), nil }
func (f zipFile) Name() string                 { return filepath.Base(f.name) }
func (f zipFile) Size() int64                  { return int64(len(f.text)) }
func (f zipFile) Mode() fs.FileMode            { return 0o644 }
func (f zipFile) ModTime() time.Time           { return time.Time{} }
func (f zipFile) IsDir() bool                  { return false }
func (f zipFile) Sys() any                     { return nil }

func (b *bench) env() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.root, "USERPROFILE=" + b.root,
		"SystemRoot=" + os.Getenv("SystemRoot"), "GOENV=off",
		"GOPROXY=" + b.proxy, "GOSUMDB=off", "GOMODCACHE=" + b.cache, "GOVCS=*:off",
		"GOPATH=" + filepath.Join(b.root, "gopath"), "GOCACHE=" + filepath.Join(b.root, "gocache"),
		"GOTOOLCHAIN=local", "GOFLAGS=-modcacherw" + b.flags,
	}
	if b.gonoproxy != "" {
		env = append(env, "GONOPROXY="+b.gonoproxy)
	}
	return env
}

// goCmd runs the go command as the user would.
func (b *bench) goCmd(dir string, args ...string) {
	b.t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = b.dir(dir), append(b.env(), "PWD="+b.dir(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// capture fills the usual options in and captures.
func (b *bench) capture(opts Options) (*Captured, error) {
	b.t.Helper()
	opts.Env = append(b.env(), opts.Env...)
	if opts.TempDir == "" {
		opts.TempDir = b.t.TempDir()
	}
	if opts.Toolchains == nil {
		opts.Toolchains = []string{"none"}
	}
	b.warnings = nil
	opts.Warn = func(line string) { b.warnings = append(b.warnings, line) }
	c, err := Capture(b.t.Context(), opts)
	if err != nil {
		if left, _ := os.ReadDir(opts.TempDir); len(left) > 0 {
			b.t.Errorf("after the error %v there is left %v", err, left)
		}
		return nil, err
	}
	c.Cgo() // with which the capture ends, and is remembered
	b.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			b.t.Errorf("Close: %v", err)
		}
		if left, _ := os.ReadDir(opts.TempDir); len(left) > 0 {
			b.t.Errorf("Close leaves %v", left)
		}
	})
	return c, nil
}

func (b *bench) mustCapture(opts Options) *Captured {
	b.t.Helper()
	c, err := b.capture(opts)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// warned reports whether a warning contained all of the words.
func (b *bench) warned(words ...string) bool {
	return slices.ContainsFunc(b.warnings, func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

func names(mods []Module) string {
	var all []string
	for _, m := range mods {
		all = append(all, strings.TrimPrefix(m.Path, "example.com/")+"@"+m.Version)
	}
	return strings.Join(all, " ")
}
