package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A site gets bundles of two projects from two machines, on two days: their tree heads of the checksum database differ.
// Together they are one tree, in any order, for everything that a developer does, without a go.sum.
func TestSite(t *testing.T) {
	older, newer := filepath.Join(tempDir(t), "older"), filepath.Join(tempDir(t), "newer")
	a, b := "oci:"+older+":v1", "oci:"+newer+":v1"
	head := filepath.Join(tempDir(t), "head")
	if err := os.WriteFile(head, []byte(oldHead(t, "github.com/!burnt!sushi/toml@v1.6.0")), 0o644); err != nil {
		t.Fatal(err)
	}
	machine := func() command { return command{env: []string{"GOFERRY_CACHE=" + tempDir(t)}} }
	machine().must(t, binary, "pack", "-C", "testdata/container", "--toolchain", goVersion, "--tree-head", head, "-o", a)
	machine().must(t, binary, "pack", "-C", "testdata/hello", "--toolchain", "none", "-o", b)
	refused(t, 6, "unpack", anybody, a, b, filepath.Join(tempDir(t), "site")).says(t, a, b, "does not connect", "--since "+a)
	machine().must(t, binary, "pack", "-C", "testdata/hello", "--toolchain", "none", "--since", a, "-o", b)

	for _, refs := range [][]string{{a, b}, {b, a}} {
		s := unpackAll(t, refs...)
		tidyAsOnline(t, s, "testdata/hello")
		tidyAsOnline(t, s, "testdata/container")
	}
	// A go command that has seen the older tree head goes on with the newer one.
	s := unpack(t, a)
	tidyAsOnline(t, s, "testdata/container")
	goferry(t, "unpack", anybody, "--add", b, s.dir)
	if err := os.RemoveAll(filepath.Join(s.home, "go", "pkg", "mod")); err != nil { // not pkg/sumdb
		t.Fatal(err)
	}
	useSite(t, s)
}

// oldHead returns the tree head with which a module proxy has kept the record of a module.
func oldHead(t *testing.T, module string) string {
	t.Helper()
	proxy, _, _ := strings.Cut(goEnv["GOPROXY"], ",")
	name, _, _ := strings.Cut(goEnv["GOSUMDB"], " ")
	if !strings.HasPrefix(proxy, "http") || name == "off" {
		missing(t, "this test needs a module proxy that answers for the checksum database")
	}
	resp, err := http.Get(strings.TrimSuffix(proxy, "/") + "/sumdb/" + name + "/lookup/" + module)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	_, head, ok := strings.Cut(string(data), "\n\n")
	if err != nil || !ok || resp.StatusCode != http.StatusOK {
		t.Fatalf("lookup of %s: %s, %v\n%s", module, resp.Status, err, data)
	}
	return head
}

// useSite does what a developer does who has both projects.
func useSite(t *testing.T, s site) {
	t.Helper()
	hello, container := tidyAsOnline(t, s, "testdata/hello"), tidyAsOnline(t, s, "testdata/container")
	s.develop(t, hello, []string{"go build ./...", "go test ./...", "go mod download", "go mod verify", "go list -m all"})
	s.develop(t, container, []string{"go build ./...", "go mod download", "go mod verify", "go list -m all"})

	if got := s.must(t, hello, "go list -m -versions github.com/google/uuid"); got != "github.com/google/uuid v1.6.0" {
		t.Errorf("go list -m -versions: %q, want the version that is carried", got)
	}
	// What the other project's bundle has.
	s.must(t, container, "go get github.com/google/uuid@latest && go get gopkg.in/yaml.v3@v3.0.1")
	if data, err := os.ReadFile(filepath.Join(container, "go.mod")); err != nil || !strings.Contains(string(data), "github.com/google/uuid v1.6.0") {
		t.Errorf("after go get @latest: %v\n%s", err, data)
	}
	s.must(t, tempDir(t), "go install github.com/BurntSushi/toml/cmd/tomlv@v1.6.0 && test -x \"$HOME/go/bin/tomlv\"")
	both := filepath.Dir(hello)
	if err := os.Rename(container, filepath.Join(both, "container")); err != nil {
		t.Fatal(err)
	}
	s.must(t, both, "go work init ./hello ./container && go work sync && go build ./hello ./container")
}

// tidyAsOnline makes the go.sum of a project anew, with no network, and holds that it is what the same go command makes
// of it with one. It returns a copy of the project.
func tidyAsOnline(t *testing.T, s site, project string) string {
	t.Helper()
	online, offline := copyTree(t, project), copyTree(t, project)
	for _, dir := range []string{online, offline} {
		if err := os.Remove(filepath.Join(dir, "go.sum")); err != nil {
			t.Fatal(err)
		}
	}
	command{dir: online}.must(t, "go", "mod", "tidy")
	s.must(t, offline, "go mod tidy")
	if got, want := moduleFiles(t, offline), moduleFiles(t, online); got != want {
		t.Errorf("go mod tidy of %s with no network:\n%s\nwith one:\n%s", project, got, want)
	}
	return offline
}
