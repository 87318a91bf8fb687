package gomod

import (
	"fmt"
	"testing"

	"golang.org/x/mod/module"
)

// Packages with C in them are named for the platforms that build it, be it for a test, and no others: not what nobody
// imports, and of the standard library not what does without C.
func TestCgo(t *testing.T) {
	b := newBench(t, map[string]string{
		"go.mod":      "module example.com/app\n\ngo 1.22\n\nrequire example.com/c1 v1.0.0\n",
		"app.go":      "package app\n\nimport (\n\t_ \"example.com/c1/all\"\n\t_ \"net\"\n\t_ \"os/user\"\n)\n",
		"app_test.go": "package app\n\nimport _ \"example.com/c1/tested\"\n",
		"host/h.go":   "package main\n\nimport _ \"plugin\"\n\nfunc main() {}\n",
	})
	const withC = "\n// int f(void);\nimport \"C\"\n"
	b.publish("example.com/c1@v1.0.0", map[string]string{
		"go.mod":          "module example.com/c1\n\ngo 1.22\n",
		"all/a.go":        "package all\n\nimport _ \"example.com/c1/darwin\"\n",
		"all/c.go":        "package all\n" + withC,
		"darwin/d.go":     "package darwin\n",
		"darwin/c_mac.go": "//go:build darwin && cgo\n\npackage darwin\n" + withC,
		"tested/c.go":     "package tested\n" + withC,
		"unused/c.go":     "package unused\n" + withC,
	})
	const want = "[{example.com/c1/all [darwin/arm64 linux/amd64]} {example.com/c1/darwin [darwin/arm64]} " +
		"{example.com/c1/tested [darwin/arm64 linux/amd64]} {plugin [darwin/arm64 linux/amd64]}]"
	opts := Options{Dirs: []string{b.dir("")}, Platforms: []Platform{{"linux", "amd64"}, {"darwin", "arm64"}}, CacheDir: b.root + "/kept"}
	for _, when := range []string{"first", "again"} {
		c := b.mustCapture(opts)
		if got := fmt.Sprint(c.Cgo()); got != want {
			t.Errorf("%s: Cgo = %s, want %s", when, got, want)
		}
		if len(b.warnings) > 0 {
			t.Errorf("%s: warnings %q", when, b.warnings)
		}
	}
	c := b.mustCapture(Options{Modules: []module.Version{{Path: "example.com/c1", Version: "v1.0.0"}}, Platforms: []Platform{{"linux", "amd64"}}})
	if len(c.Cgo()) != 3 {
		t.Errorf("Cgo of an extra module = %v", c.Cgo())
	}
}
