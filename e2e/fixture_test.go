package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// goVersion is the toolchain that the bundles carry. Both platforms of it are on the module proxy.
const goVersion = "go1.26.8"

// A fixture is a bundle that several tests read, packed once.
type fixture struct {
	once   sync.Once
	dir    string // of the layout
	ref    string // "oci:DIR:v1"
	digest string
	failed bool
}

var (
	helloBundle     fixture // the project "hello" with a toolchain for two platforms
	modulesBundle   fixture // the same without a toolchain: small
	containerBundle fixture // the project "container" with a toolchain
	sharedBundle    fixture // the same with the modules of "hello", which share layers
	groupedBundle   fixture // the same with a project of 220 modules, in 60 layers
)

func (f *fixture) pack(t *testing.T, project string, flags ...string) *fixture {
	t.Helper()
	f.once.Do(func() {
		f.failed = true
		dir, err := os.MkdirTemp(tempRoot, "bundle-")
		if err != nil {
			t.Fatal(err)
		}
		f.dir = filepath.Join(dir, "layout")
		f.ref = "oci:" + f.dir + ":v1"
		f.digest = goferry(t, append([]string{"pack", "-C", project, "-o", f.ref}, flags...)...)
		f.failed = false
	})
	if f.failed {
		t.Fatalf("packing %s failed in another test", project)
	}
	return f
}

func packHello(t *testing.T) *fixture {
	t.Helper()
	return helloBundle.pack(t, "testdata/hello", "--toolchain", goVersion, "--platform", "linux/amd64,linux/arm64")
}

func packModules(t *testing.T) *fixture {
	t.Helper()
	return modulesBundle.pack(t, "testdata/hello", "--toolchain", "none", "--platform", "linux/amd64,linux/arm64")
}

func packContainer(t *testing.T) *fixture {
	t.Helper()
	return containerBundle.pack(t, "testdata/container", "--toolchain", goVersion, "--platform", "linux/amd64")
}

func packShared(t *testing.T) *fixture {
	t.Helper()
	return sharedBundle.pack(t, "testdata/container", "-C", "testdata/hello", "--toolchain", goVersion, "--platform", "linux/amd64", "--layer-budget", "6")
}

func packGrouped(t *testing.T) *fixture {
	t.Helper()
	return groupedBundle.pack(t, "testdata/container", "-C", extractModule(t, caddy), "--toolchain", goVersion, "--platform", "linux/amd64", "--layer-budget", "60")
}

// clone returns a copy of the layout that the test may damage.
func (f *fixture) clone(t *testing.T) (dir, ref string) {
	t.Helper()
	dir = filepath.Join(tempDir(t), "layout")
	if out, err := exec.Command("cp", "-a", f.dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	return dir, "oci:" + dir + ":v1"
}
