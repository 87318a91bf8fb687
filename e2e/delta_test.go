package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDelta carries what changed alone: the next version of a project goes as a delta against what arrived, to a
// directory, a registry and a layout that have the version before.
func TestDelta(t *testing.T) {
	dir := tempDir(t)
	project := nextVersion(t, copyTree(t, "testdata/hello"), "golang.org/x/text@v0.42.0")
	t.Run("unpacked", func(t *testing.T) {
		v1, v2 := packHello(t), "oci:"+filepath.Join(dir, "next")+":v2"
		goferry(t, "pack", "-C", project, "--toolchain", goVersion, "--platform", "linux/amd64,linux/arm64", "-o", v2)
		if !strings.Contains(goferry(t, "diff", v1.ref, v2), "~ golang.org/x/text v0.43.0 -> v0.42.0") {
			t.Error("diff does not tell what changed")
		}
		s, receipt, delta := unpack(t, v1.ref), filepath.Join(dir, "have.json"), "oci:"+filepath.Join(dir, "delta")+":v2"
		goferry(t, "receipt", "-o", receipt, s.dir)
		goferry(t, "copy", "--since", receipt, v2, delta)
		refused(t, 6, "verify", delta).says(t, "is a delta", "github.com/BurntSushi/toml@")
		refused(t, 6, "copy", delta, "oci:"+filepath.Join(dir, "elsewhere")).says(t, "github.com/BurntSushi/toml@")
		goferry(t, "unpack", anybody, delta, s.dir)
		s.develop(t, project, []string{"go build ./...", "go mod tidy", "go mod verify"})
	})
	v1, v2 := packModules(t), "oci:"+filepath.Join(dir, "modules")+":v2"
	want := goferry(t, "pack", "-C", project, "--toolchain", "none", "--platform", "linux/amd64,linux/arm64", "-o", v2)
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			r := kind.start(t, security{})
			flags := func(args ...string) []string { return append(args, r.flags()...) }
			goferry(t, flags("copy", v1.ref, r.host+"/team/app:v1")...)
			have := filepath.Join(dir, kind.name+".json")
			goferry(t, flags("receipt", "-o", have, r.host+"/team/app:v1")...)
			layout := "oci:" + filepath.Join(dir, kind.name) + ":v2"
			goferry(t, "copy", "--since", have, v2, layout)
			if got := goferry(t, flags("copy", layout, r.host+"/team/app:v2")...); got != want {
				t.Errorf("the delta became %s, want %s", got, want)
			}
			goferry(t, flags("verify", r.host+"/team/app:v2")...)
		})
	}
}

// nextVersion lets a project ask for other versions of modules.
func nextVersion(t *testing.T, project string, modules ...string) string {
	t.Helper()
	c := command{dir: project, env: []string{"GOWORK=off", "GOFLAGS=-mod=mod"}}
	c.must(t, "go", append([]string{"get"}, modules...)...)
	c.must(t, "go", "mod", "tidy")
	return project
}

// TestFiguresDelta measures the next version of a project of 220 modules, of which two are newer, with a toolchain.
func TestFiguresDelta(t *testing.T) {
	if !*figures {
		t.Skip("takes minutes: run it with -figures")
	}
	dir, project := tempDir(t), extractModule(t, caddy)
	c := command{env: []string{"GOWORK=off"}}
	ref := func(tag string) string { return "oci:" + filepath.Join(dir, "layout") + ":" + tag }
	pack := func(tag string) {
		c.must(t, binary, "pack", "-C", project, "--toolchain", goVersion, "--platform", "linux/amd64", "-o", ref(tag))
	}
	pack("v1")
	nextVersion(t, project, "golang.org/x/sync@v0.24.0", "github.com/klauspost/cpuid/v2@v2.4.2")
	pack("v2")
	whole, delta, receipt := filepath.Join(dir, "whole"), filepath.Join(dir, "delta"), filepath.Join(dir, "have.json")
	there, site := "oci:"+filepath.Join(dir, "there"), filepath.Join(dir, "site")
	goferry(t, "copy", ref("v1"), there+":v1")
	goferry(t, "unpack", anybody, ref("v1"), site)

	step := func(what string, args ...string) cost {
		m := command{}.measure(t, binary, args...)
		t.Logf("%s: %v, peak %d MiB", what, m.wall.Round(time.Millisecond), m.own>>20)
		memory(t, what, m)
		return m
	}
	step("receipt of a layout", "receipt", "-o", receipt, there)
	all := step("copy of all", "copy", ref("v2"), "oci:"+whole+":v2")
	some := step("copy --since", "copy", "--since", receipt, ref("v2"), "oci:"+delta+":v2")
	step("apply to a layout", "copy", "oci:"+delta+":v2", there+":v2")
	step("receipt of a directory", "receipt", "-o", receipt, site)
	step("unpack the delta", "unpack", anybody, "oci:"+delta+":v2", site)
	step("diff", "diff", ref("v1"), ref("v2"))
	t.Logf("the delta has %d bytes, all have %d, the receipt %d", diskUse(t, delta), diskUse(t, whole), diskUse(t, receipt))
	atMost(t, "bytes of the delta : of all", float64(diskUse(t, delta)), float64(diskUse(t, whole)), 0.1)
	atMost(t, "copy --since : copy", some.wall.Seconds(), all.wall.Seconds(), 1)
	goferry(t, "verify", there+":v2")
}
