package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestJourney is what goferry is for: pack here, carry it through every kind of store, verify and unpack there, and work
// with no network.
func TestJourney(t *testing.T) {
	f := packHello(t)
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			carry(t, f, kind.start(t, security{}))
		})
	}
	t.Run("offline", func(t *testing.T) {
		s := unpack(t, f.ref)
		dir := copyTree(t, "testdata/hello")
		s.develop(t, dir, everyCommand)
		if got := s.must(t, dir, "go run ."); !strings.HasPrefix(got, "hello, gopher") {
			t.Errorf("go run printed %q", got)
		}
		if got := s.must(t, dir, "go version"); !strings.Contains(got, goVersion) {
			t.Errorf("go version printed %q, want %s", got, goVersion)
		}
	})
}

// carry copies a bundle from its layout to a registry, from there to an archive and on to a layout, and verifies it in each
// place; it must be the same bundle everywhere.
func carry(t *testing.T, f *fixture, s server) {
	t.Helper()
	dir := tempDir(t)
	places := []string{f.ref, s.host + "/team/app:v1", "oci-archive:" + filepath.Join(dir, "app.tar") + ":v1", "oci:" + filepath.Join(dir, "layout") + ":v1"}
	for i, place := range places {
		if i > 0 {
			if got := goferry(t, slices.Concat([]string{"copy"}, s.flags(), []string{places[i-1], place})...); got != f.digest {
				t.Errorf("copy to %s = %s, want %s", place, got, f.digest)
			}
		}
		goferry(t, slices.Concat([]string{"verify"}, s.flags(), []string{place})...)
	}
}

// TestPackTo holds that packing straight into a registry or an archive makes the same bundle as packing into a layout.
func TestPackTo(t *testing.T) {
	f, s := packModules(t), startInProcess(t, security{})
	for _, place := range []string{s.host + "/app:v1", "oci-archive:" + filepath.Join(tempDir(t), "app.tar") + ":v1"} {
		got := goferry(t, "pack", "-C", "testdata/hello", "--toolchain", "none", "--platform", "linux/amd64,linux/arm64", "--plain-http", "-o", place)
		if got != f.digest {
			t.Errorf("pack -o %s = %s, want %s", place, got, f.digest)
		}
		goferry(t, "verify", "--plain-http", place)
	}
}

// TestWorkspace carries a project with members that want different versions of one module, a replacement by another version
// and a replacement by a directory. It has to build as a workspace and each member alone.
func TestWorkspace(t *testing.T) {
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	goferry(t, "pack", "-C", "testdata/workspace", "--toolchain", goVersion, "--platform", "linux/amd64", "-o", ref)
	s, dir := unpack(t, ref), copyTree(t, "testdata/workspace")
	s.develop(t, dir, []string{"go run ./app", "go vet ./app ./lib", "go list -m all"})
	for _, member := range []string{"app", "lib"} {
		s.develop(t, filepath.Join(dir, member), []string{
			"GOWORK=off go build ./...", "GOWORK=off go test ./...", "GOWORK=off go mod tidy", "GOWORK=off go list -m all",
		})
	}
}

// TestSharedSite holds that another user can build from a site that he cannot write to, also from the shared module cache.
func TestSharedSite(t *testing.T) {
	needRoot(t)
	f := packContainer(t)
	for _, flags := range [][]string{nil, {"--extract"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			s, dir := unpack(t, f.ref, flags...), copyTree(t, "testdata/container")
			if err := os.Chmod(s.home, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			nobody := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
			s.runAs(t, nobody, dir, "! touch "+s.dir+"/current/go/x 2>/dev/null && go build -o hello . && ./hello").want(t, 0)
		})
	}
}

// TestRollback holds that the generation before stays and can be had back.
func TestRollback(t *testing.T) {
	one, two := packModules(t), packContainer(t)
	s := unpack(t, one.ref)
	before, err := os.Readlink(filepath.Join(s.dir, "current"))
	if err != nil {
		t.Fatal(err)
	}
	goferry(t, "unpack", anybody, two.ref, s.dir)
	if after, _ := os.Readlink(filepath.Join(s.dir, "current")); after == before {
		t.Errorf("current is %s after a second unpack, as before", after)
	}
	goferry(t, "unpack", "--rollback", s.dir)
	if got, _ := os.Readlink(filepath.Join(s.dir, "current")); got != before {
		t.Errorf("current after --rollback is %s, want %s", got, before)
	}
}
