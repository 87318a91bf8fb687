package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
)

// gets are packages of the corpus, each odd in its own way.
var gets = []string{
	"rsc.io/QUOTE/QUOTE@v1.5.2",                    // upper case in the path
	"rsc.io/QUOTE@v1.5.3-PRE",                      // and in the version
	"rsc.io/CGO@v1.0.0",                            // a path that was once taken for a compiler's flag
	"rsc.io/breaker@v2.0.0+incompatible",           // no major version in the path
	"example.com/split-incompatible/subpkg@latest", // was a package of an incompatible version
	"gopkg.in/dummy.v2-unstable@v2.0.0",            // a path of gopkg.in's
	"example.com/notags@latest",                    // pseudo-versions alone
	"github.com/dmitshur-test/modtest5@latest",     // pseudo-versions before and after a pre-release
	"example.com/retract@v1.0.0-bad",               // retracted
	"example.com/retract/self/all@v1.9.0",          // retracts every version
	"example.com/deprecated/a@v1.0.0",              // deprecated by a later version
	"example.com/dotgo.go@v1.0.0",                  // looks like a file
	"example.com/dotname/.dot@v1.0.0",              // a package that patterns pass over
	"example.com/printversion@v1.0.0",              // replace and exclude directives
	"rsc.io/quote/v3@v3.0.0",                       // major version in the path
	"example.com/latemigrate/v2@latest",            // versions from before there was a go.mod
	"not-rsc.io/quote@v0.1.0-nomod",                // no go.mod in the zip
	"rsc.io/badmod@v1.0.0",                         // unknown directives
	"example.com/quote@v1.5.2",                     // another path in its go.mod
	"example.com/ambiguous/a/b@v0.0.0-empty",       // no package
}

// compareGo holds that the go command, with the checksum database on and no network but the
// proxies, says and does the same with each of them as with the corpus. Of modules that have lost a
// version it may say something else.
func (c *corpus) compareGo(t *testing.T, carried []module.Version, tree, server string) {
	var modules, paths []string
	for _, m := range carried {
		if !slices.ContainsFunc(c.modules, func(o module.Version) bool { return o.Path == m.Path && notPacked[o.String()] != "" }) {
			modules, paths = append(modules, m.String()), append(paths, m.Path)
		}
	}
	for name, args := range map[string][]string{
		"download": append([]string{"mod", "download", "-json"}, modules...),
		"versions": append([]string{"list", "-m", "-versions", "-json"}, slices.Compact(paths)...),
		"updates":  append([]string{"list", "-m", "-u", "-retracted", "-json"}, modules...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.sameForGo(t, args, tree, server)
		})
	}
	for _, pkg := range gets {
		t.Run("get "+pkg, func(t *testing.T) {
			t.Parallel()
			c.sameForGo(t, []string{"get", pkg}, tree)
		})
	}
}

func (c *corpus) sameForGo(t *testing.T, args []string, proxies ...string) {
	t.Helper()
	want := c.goCommand(t, c.url, args)
	for _, proxy := range proxies {
		if got := c.goCommand(t, proxy, args); got != want {
			t.Errorf("with %s\n%s\nwant\n%s", proxy, got, want)
		}
	}
}

// goCommand runs the go command in an empty project and home, and returns all that comes of it.
func (c *corpus) goCommand(t *testing.T, proxy string, args []string) string {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, "app")
	goMod, goSum := filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")
	err := errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(goMod, []byte("module example.org/app\n\ngo 1.26.0\n"), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	run := func(args ...string) {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, c.env(home, proxy)
		out, err := cmd.CombinedOutput()
		fmt.Fprintf(&all, "%s%v\n", out, err)
	}
	run(args...)
	if args[0] == "get" {
		pkg, _, _ := strings.Cut(args[1], "@")
		run("build", pkg)
	}
	for _, name := range []string{goMod, goSum} {
		data, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(data)
	}
	text := downloading.ReplaceAllString(all.String(), "")
	text = timeOfDay.ReplaceAllStringFunc(text, inUTC)
	return strings.NewReplacer(proxy, "PROXY", home, "HOME").Replace(text)
}

var (
	downloading = regexp.MustCompile(`(?m)^go: downloading .*\n`) // in no certain order
	timeOfDay   = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:]{8}[-+]\d\d:\d\d`)
)

// inUTC writes a time as goferry's .info files have it.
func inUTC(text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return text
	}
	return t.UTC().Format(time.RFC3339)
}

// env is an environment in which nothing is the user's but the build cache.
func (c *corpus) env(home, proxy string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "SystemRoot=" + os.Getenv("SystemRoot"), "HOME=" + home, "USERPROFILE=" + home,
		"GOPATH=" + filepath.Join(home, "gopath"), "GOFERRY_CACHE=" + filepath.Join(home, "cache"), "GOCACHE=" + c.gocache,
		"GOPROXY=" + proxy, "GOSUMDB=" + c.sumdb, "GOVCS=*:off", "HTTPS_PROXY=127.0.0.1:1",
		telemetryDir + "=" + c.telemetry, "GOENV=off", "GOTOOLCHAIN=local", "GOFLAGS=-modcacherw", "COSIGN_PASSWORD=",
	}
}

func fileURL(dir string) string { return "file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/") }
