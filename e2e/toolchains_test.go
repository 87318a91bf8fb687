package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Go versions beside goVersion, which the project "switching" asks for.
const (
	olderGo  = "go1.24.13"
	oldestGo = "go1.22.12"
)

var switchingBundle fixture // the project "switching" with a GOROOT that is too old for it, and the one it names

func packSwitching(t *testing.T) *fixture {
	t.Helper()
	return switchingBundle.pack(t, "testdata/switching", "--toolchain", olderGo+",auto", "--platform", "linux/amd64")
}

// TestSwitch lets the go command of a bundle switch to the other one that the bundle has, with no network.
func TestSwitch(t *testing.T) {
	f := packSwitching(t)
	goferry(t, "verify", f.ref)
	s := unpack(t, f.ref)
	dir := copyTree(t, "testdata/switching")
	s.develop(t, dir, []string{
		"(cd / && go version | grep -w " + olderGo + ")",
		"go version | grep -w " + goVersion,
		"go run . " + goVersion,
		"rm go.sum && go mod tidy",
		"go mod verify",
		"go list -m -versions go | grep -w '" + olderGo[2:] + " " + goVersion[2:] + "'",
	})
	for _, line := range []string{
		"go get toolchain@" + olderGo + " && go run . " + olderGo,
		"go get toolchain@latest go@1.26 && grep -x 'go " + goVersion[2:] + "' go.mod && go run . " + goVersion,
	} {
		s.must(t, copyTree(t, "testdata/switching"), line)
	}
	if r := s.run(t, copyTree(t, "testdata/switching"), "go mod edit -toolchain=go1.25.99 && go build"); r.code == 0 || !strings.Contains(r.stderr, "not available") {
		t.Errorf("a toolchain that is not carried: exit code %d, %s", r.code, r.stderr)
	}
}

// TestSwitchShared is the same in a module cache that the user may not write to.
func TestSwitchShared(t *testing.T) {
	needRoot(t)
	s := unpack(t, packSwitching(t).ref, "--extract")
	dir := copyTree(t, "testdata/switching")
	for _, name := range []string{dir, s.home} {
		if err := os.Chown(name, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	nobody := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
	r := s.runAs(t, nobody, dir, "! touch $GOMODCACHE/x 2>/dev/null && go run . "+goVersion).want(t, 0)
	if strings.Contains(r.stderr, "downloading") {
		t.Errorf("something was extracted again:\n%s", r.stderr)
	}
}

// TestSwitchFromSite lets an old go command, which the site has of its own, switch to the one that was unpacked. It checks
// the zip, which unpack gave back, by the checksum database that was carried.
func TestSwitchFromSite(t *testing.T) {
	s := unpack(t, packContainer(t).ref)
	goroot := installGo(t, oldestGo)
	old := func(line string) result {
		dir := copyTree(t, "testdata/switching")
		return s.shell(t, nil, dir, `export PATH="`+goroot+`/bin:$PATH" GOPROXY="file://$0/current/mod/cache/download"; `+line)
	}
	for _, line := range []string{
		"GOTOOLCHAIN=local go version | grep -w " + oldestGo,
		"go version | grep -w " + goVersion,
		"go run . " + goVersion,
		"go mod edit -toolchain=none && go get go@1.26 && grep -x 'go " + goVersion[2:] + "' go.mod",
	} {
		old(line).want(t, 0)
	}
	for what, damage := range map[string]func(t *testing.T, download string){
		"SECURITY ERROR": forgeToolchain,
		"no such file":   removeTiles,
	} {
		s = unpack(t, packContainer(t).ref)
		damage(t, filepath.Join(s.dir, "current/mod/cache/download"))
		if r := old("go version"); r.code == 0 || !strings.Contains(r.stderr, what) {
			t.Errorf("exit code %d, want an error with %q:\n%s%s", r.code, what, r.stdout, r.stderr)
		}
	}
}

// TestSwitchInImage builds a project whose go.mod asks for the further toolchain, in containers without a network.
func TestSwitchInImage(t *testing.T) {
	f, r := packSwitching(t), startInProcess(t, security{})
	bundle := r.host + "/go/switching:v1"
	goferry(t, "copy", "--plain-http", f.ref, bundle)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { e.start(t)(t, copyTree(t, "testdata/switching"), "from.Dockerfile", bundle, "") })
	}
}

// installGo returns a GOROOT as somebody would have installed it.
func installGo(t *testing.T, version string) string {
	t.Helper()
	ref := layoutRef(t)
	command{dir: tempDir(t)}.must(t, binary, "pack", "--toolchain", version, "--platform", "linux/amd64", "-o", ref)
	goroot := filepath.Join(unpack(t, ref).dir, "current/go")
	const stock = "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n"
	if err := os.WriteFile(filepath.Join(goroot, "go.env"), []byte(stock), 0o644); err != nil {
		t.Fatal(err)
	}
	return goroot
}

// forgeToolchain changes every Go file in the zip of a toolchain.
func forgeToolchain(t *testing.T, download string) {
	t.Helper()
	name := filepath.Join(download, "golang.org/toolchain/@v/v0.0.1-"+goVersion+".linux-amd64.zip")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, forgeZip(t, data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// removeTiles removes the lowest tiles of the checksum database.
func removeTiles(t *testing.T, download string) {
	t.Helper()
	tiles, err := filepath.Glob(filepath.Join(download, "sumdb/*/tile/8/0"))
	if err != nil || len(tiles) != 1 {
		t.Fatalf("tiles %q, %v", tiles, err)
	}
	if err := os.RemoveAll(tiles[0]); err != nil {
		t.Fatal(err)
	}
}
