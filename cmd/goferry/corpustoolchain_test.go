package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/tools/txtar"

	"github.com/goferry/goferry/bundle/toolchain"
)

// gorootVersion is the toolchain that addGOROOTs adds.
const gorootVersion = "go1.26.8"

func isToolchain(m module.Version) bool { return m.Path == "golang.org/toolchain" }

// addGOROOTs adds a toolchain that can be a GOROOT for each platform of the corpus's, of which none
// can: they have a go.mod file.
func (c *corpus) addGOROOTs(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("testdata/mod/golang.org_toolchain_v0.0.1-" + gorootVersion + ".linux-amd64.txtar")
	if err != nil {
		t.Fatal(err)
	}
	done := make(map[string]bool)
	for _, m := range slices.Clone(c.modules) {
		if !isToolchain(m) {
			continue
		}
		_, goos, goarch := parseToolchain(t, m)
		version := toolchain.ModuleVersion(gorootVersion, goos, goarch)
		if done[version] {
			continue
		}
		done[version] = true
		archive := txtar.Parse(bytes.ReplaceAll(text, []byte("linux/amd64"), []byte(goos+"/"+goarch)))
		info := txtar.File{Name: ".info", Data: toolchain.Info(version)}
		c.write(t, module.Version{Path: m.Path, Version: version}, append(archive.Files, info))
	}
}

func parseToolchain(t *testing.T, m module.Version) (goVersion, goos, goarch string) {
	t.Helper()
	goVersion, goos, goarch, err := toolchain.ParseVersion(m.Version)
	if err != nil {
		t.Fatal(err)
	}
	return goVersion, goos, goarch
}

// toolchains returns the corpus's Go versions by the platforms that they are for, both as flags of
// pack have them.
func (c *corpus) toolchains(t *testing.T) map[string]string {
	t.Helper()
	platforms := make(map[string]string) // by Go version
	for _, m := range c.modules {
		if !isToolchain(m) {
			continue
		}
		v, goos, goarch := parseToolchain(t, m)
		if v != gorootVersion {
			platforms[v] = strings.TrimPrefix(platforms[v]+","+goos+"/"+goarch, ",")
		}
	}
	all := make(map[string]string)
	for v, list := range platforms {
		all[list] = strings.TrimPrefix(all[list]+","+v, ",")
	}
	return all
}

// compareToolchains holds that each of the corpus's toolchains is carried and served, and that the
// go command switches to one. (Of their go.mod files there is one form, which is not the corpus's.)
func (c *corpus) compareToolchains(t *testing.T) {
	dir := t.TempDir()
	for platforms, versions := range c.toolchains(t) {
		tag, _, _ := strings.Cut(versions, ",")
		c.must(t, dir, "pack", "--quiet", "--toolchain", gorootVersion+","+versions, "--platform", platforms, "-o", "oci:bundle:"+tag)
	}
	server := serveLayout(t, filepath.Join(dir, "bundle"))
	for _, m := range c.modules {
		if !isToolchain(m) || strings.Contains(m.Version, gorootVersion) {
			continue
		}
		for _, ext := range []string{".info", ".zip"} {
			c.compareFile(t, corpusName(t, m)+ext, func(name string) ([]byte, error) { return get(server + "/" + name) })
		}
	}
	if runtime.GOOS == "windows" {
		return // they are shell scripts
	}
	for _, proxy := range []string{c.url, server} {
		cmd := exec.Command("go", "version")
		cmd.Dir, cmd.Env = dir, append(c.env(t.TempDir(), proxy), "GOTOOLCHAIN=go1.999testmod")
		got, err := cmd.CombinedOutput()
		if want := "go1.999testmod here!\n"; err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("with %s: go version: %v\n%s\nwant %s", proxy, err, got, want)
		}
	}
}
