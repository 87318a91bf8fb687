package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestAccept takes real projects of different kinds the whole way: packed with a toolchain, through every registry and an
// archive, verified and unpacked, and then everything that a developer does, with no network. It prints what each step took:
//
//	go test -run TestAccept -accept -v -timeout 2h .
//
// The projects' tests are some that need no loopback interface, which is down where there is no network; and what vet
// finds unreachable in prometheus is not our concern.
func TestAccept(t *testing.T) {
	if !*accept {
		t.Skip("takes minutes: run it with -accept")
	}
	for _, p := range []struct{ module, tests string }{
		{caddy, "./caddyconfig/caddyfile/... ./caddyconfig/httpcaddyfile/... ./modules/caddyhttp/rewrite/..."},
		{"golang.org/x/tools/gopls@v0.23.0", "./internal/util/... ./internal/settings/..."}, // tools without cgo
		{"github.com/google/go-containerregistry@v0.22.1", "./pkg/name/... ./pkg/v1/mutate/... ./pkg/v1/tarball/..."},
		{"github.com/prometheus/prometheus@v0.315.0", "./model/labels/... ./promql/parser/..."}, // 298 modules
	} {
		t.Run(p.module, func(t *testing.T) { acceptProject(t, p.module, p.tests) })
	}
}

func acceptProject(t *testing.T, module, tests string) {
	project := extractModule(t, module)
	f := &fixture{dir: filepath.Join(tempDir(t), "layout")}
	f.ref = "oci:" + f.dir + ":v1"
	c := command{env: []string{"GOWORK=off"}} // a module zip may have a go.work without its members
	packed := c.measure(t, binary, "pack", "-C", project, "--toolchain", goVersion, "--platform", "linux/amd64,linux/arm64", "-o", f.ref)
	f.digest = packed.out
	manifest := readJSON[ocispec.Index](t, f.dir, f.digest).Manifests[0].Digest.String()
	t.Logf("pack: %v, %d layers, %d MB, peak %d MiB, of the go command %d MiB", packed.wall.Round(time.Millisecond),
		len(readJSON[ocispec.Manifest](t, f.dir, manifest).Layers), diskUse(t, f.dir)/1e6, packed.own>>20, packed.child>>20)
	for _, kind := range registries {
		start := time.Now()
		carry(t, f, kind.start(t, security{}))
		t.Logf("through %s, an archive and a layout: %v", kind.name, time.Since(start).Round(time.Millisecond))
	}
	start := time.Now()
	s := unpack(t, f.ref)
	t.Logf("unpack: %v", time.Since(start).Round(time.Millisecond))
	s.develop(t, project, []string{
		"go build ./...", "go vet -unreachable=false ./...", "go test " + tests, "go mod tidy", "go mod verify", "go list -m all", "go mod graph", "go mod vendor",
	})
}

// extractModule returns a writable copy of a module as the module proxy has it, without its go.work.
func extractModule(t *testing.T, module string) string {
	t.Helper()
	out := command{dir: tempDir(t)}.must(t, "go", "mod", "download", "-json", module)
	var m struct{ Dir string }
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(filepath.Base(m.Dir), "@")
	dir := filepath.Join(tempDir(t), name)
	if err := os.CopyFS(dir, os.DirFS(m.Dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.work", "go.work.sum"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
