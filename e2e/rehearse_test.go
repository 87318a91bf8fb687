package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rehearse runs goferry rehearse with a command in a directory.
func rehearse(t *testing.T, ref, dir string, args ...string) result {
	t.Helper()
	return command{}.run(t, binary, slices.Concat([]string{"rehearse", anybody, "-q", "-C", dir, ref, "--"}, args)...)
}

// TestRehearse holds that a bundle is enough for what it was packed for, with its own Go and nothing else.
func TestRehearse(t *testing.T) {
	f, dir := packHello(t), copyTree(t, "testdata/hello")
	before := moduleFiles(t, dir)
	r := refused(t, 0, "rehearse", anybody, f.ref, "-C", dir, "--format", "json").says(t, "isolation: namespaces")
	var report struct {
		Digest, GoVersion, Isolation string
		Commands                     []struct{ ExitCode int }
		Missing                      []any
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, r.stdout)
	}
	if report.Digest != f.digest || report.GoVersion != goVersion || report.Isolation != "namespaces" || len(report.Commands) != 5 || len(report.Missing) != 0 {
		t.Errorf("rehearse: %s", r.stdout)
	}
	if after := moduleFiles(t, dir); after != before {
		t.Errorf("the module files changed:\n%s", after)
	}
	// What a user does with a project of his own changes it, as it would there.
	rehearse(t, f.ref, dir, "sh", "-c", "rm go.sum && go mod tidy").want(t, 0)
	if after := moduleFiles(t, dir); after != before {
		t.Errorf("go.sum was made anew from the bundle, and is another:\n%s", after)
	}
}

// TestRehearseMissing holds that what a bundle lacks is named, with the flag that adds it, and that pack then adds it.
func TestRehearseMissing(t *testing.T) {
	dir := copyTree(t, "testdata/hello")
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	goferry(t, "pack", "-C", dir, "--toolchain", "none", "--scope", "build", "-o", ref)
	for _, tc := range []struct{ name, line, missing, flag string }{
		{"scope", "go mod tidy", "gopkg.in/check.v1@v0.0.0-20161208181325-20d25e280405", "--scope dev"},
		{"list", "go list -m all", "go.yaml.in/yaml/v3@v3.0.4", "--scope dev"},
		{"version", "go get rsc.io/quote@v1.5.2", "rsc.io/quote@v1.5.2", "--module rsc.io/quote@v1.5.2"},
		{"query", "go get rsc.io/quote", "rsc.io/quote", "--module rsc.io/quote@latest"},
		{"package", "go install github.com/google/go-licenses/sub/pkg@latest", "github.com/google/go-licenses/sub/pkg", "--module github.com/google/go-licenses@latest"},
		{"toolchain", "GOTOOLCHAIN=go1.24.6 go version", "go1.24.6", "--toolchain go1.24.6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rehearse(t, ref, dir, "sh", "-c", tc.line).want(t, 6).says(t, "incomplete: "+tc.missing+" is not in it", "hint: pack it again with "+tc.flag+"\n")
		})
	}
	goferry(t, "pack", "-C", dir, "--toolchain", "none", "--module", "rsc.io/quote@v1.5.2", "-o", ref)
	rehearse(t, ref, dir, "sh", "-c", "go mod tidy && go list -m all >&2 && go get rsc.io/quote@v1.5.2").want(t, 0)
}

// TestRehearseNewerGo holds that a project which wants a newer Go than the bundle has is told so.
func TestRehearseNewerGo(t *testing.T) {
	f, dir := packHello(t), copyTree(t, "testdata/hello")
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(strings.Replace(string(text), "go 1.26.0", "go 1.99", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	rehearse(t, f.ref, dir, "go", "build", "./...").want(t, 6).says(t, "hint: pack it again with --toolchain go1.99.0\n")
}

// TestRehearseSwitch holds that the go command switches to a Go of the bundle as it will there, and that one which is not
// in the bundle is named.
func TestRehearseSwitch(t *testing.T) {
	dir := copyTree(t, "testdata/network")
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	goferry(t, "pack", "-C", dir, "--toolchain", "go1.22.12,"+goVersion, "--platform", "linux/amd64", "-o", ref)
	wants := func(lines string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/network\n\n"+lines), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wants("go 1.26.0\ntoolchain " + goVersion + "\n")
	if r := rehearse(t, ref, dir, "go", "version").want(t, 0); !strings.Contains(r.stdout, goVersion) {
		t.Errorf("go version: %s", r.stdout)
	}
	rehearse(t, ref, dir, "go", "list", "./nosuch").want(t, 1).says(t, "the bundle had all that was asked for")
	wants("go 1.26.1\n")
	rehearse(t, ref, dir, "go", "version").want(t, 6).says(t, "hint: pack it again with --toolchain go1.26.1\n")
}

// TestRehearseNetwork holds that there is no network but the loopback, which tests of projects need, for root and for
// others, and that it is so for any program, not for the go command alone.
func TestRehearseNetwork(t *testing.T) {
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	goferry(t, "pack", "-C", "testdata/network", "--toolchain", "none", "-o", ref)
	s := startInProcess(t, security{}) // outside, on a loopback that is not the command's
	t.Run("self", func(t *testing.T) {
		dir := copyTree(t, "testdata/network")
		command{}.run(t, binary, "rehearse", anybody, "-C", dir, ref, "--", "sh", "-c", "OUTSIDE="+s.host+" CGO_ENABLED=0 go test ./...").want(t, 0).says(t, "isolation: namespaces")
	})
	t.Run("nobody", func(t *testing.T) {
		needRoot(t)
		need(t, "setpriv", "apt-get install util-linux")
		dir, home := copyTree(t, "testdata/network"), tempDir(t)
		if err := os.Chmod(home, 0o777); err != nil {
			t.Fatal(err)
		}
		args := []string{"--reuid", "65534", "--regid", "65534", "--clear-groups", binary, "rehearse", anybody, "-C", dir, ref, "--",
			"sh", "-c", `test "$(id -u)" = 65534 && grep -q "CapEff:.0*$" /proc/self/status && test "$(grep -c : /proc/net/dev)" = 1 && go list ./...`}
		command{env: []string{"TMPDIR=" + home, "HOME=" + home}}.run(t, "setpriv", args...).want(t, 0).says(t, "isolation: namespaces")
		if entries, err := os.ReadDir(home); err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		needRoot(t)
		need(t, "unshare", "apt-get install util-linux")
		dir, home := copyTree(t, "testdata/network"), tempDir(t)
		if err := os.Chmod(home, 0o777); err != nil {
			t.Fatal(err)
		}
		// In a user namespace with no further ones allowed goferry has to do without.
		script := `echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"`
		r := command{env: []string{"TMPDIR=" + home, "HOME=" + home}}.run(t, "unshare", "-r", "sh", "-c", script, "sh",
			binary, "rehearse", anybody, "-C", dir, ref, "--", "sh", "-c", `test "$HTTPS_PROXY" = http://127.0.0.1:9 && go get rsc.io/quote@v1.5.2`)
		r.want(t, 6).says(t, "warning: the network is kept away by settings alone", "hint: pack it again with --module rsc.io/quote@v1.5.2")
	})
}

// TestRehearseImage holds that the bundle's image has what a build needs, and that nothing of this machine is in it.
func TestRehearseImage(t *testing.T) {
	dir, home := copyTree(t, "testdata/container"), tempDir(t)
	_, ref := packContainer(t).clone(t) // where others may read it
	if err := os.Chmod(home, 0o777); err != nil {
		t.Fatal(err)
	}
	inImage := func(as []string, args ...string) result {
		args = slices.Concat(as, []string{binary, "rehearse", anybody, "--image", ref, "-C", dir}, args)
		return command{env: []string{"TMPDIR=" + home}}.run(t, args[0], args[1:]...)
	}
	self := []string{"env"}
	r := inImage(self).want(t, 0)
	for _, want := range []string{"go build -o /dev/null ./...: ok", "go mod verify: skipped", "go list -mod=readonly -m all: ok"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("rehearse --image does not say %q:\n%s", want, r.stdout)
		}
	}
	r = inImage(self, "--", "go", "env", "GOROOT", "GOPATH", "GOMODCACHE", "GOMOD").want(t, 0)
	if want := "/usr/local/go\n/go\n/go/pkg/mod\n/src/go.mod\n"; r.stdout != want {
		t.Errorf("go env in the image: %q, want %q", r.stdout, want)
	}
	inImage(self, "--", "sh", "-c", "true").want(t, 1).says(t, `"sh" is not there`)
	inImage(self, "--", "go", "get", "rsc.io/quote@v1.5.2").want(t, 6).says(t, "hint: pack it again with --module rsc.io/quote@v1.5.2\n")
	t.Run("nobody", func(t *testing.T) {
		needRoot(t)
		inImage([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}, "--", "go", "list", "-m", "all").want(t, 0)
	})
	if entries, err := os.ReadDir(home); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
