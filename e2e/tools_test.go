package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTools carries the tool that a project names and another one, and uses them with no network.
func TestTools(t *testing.T) {
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	const protoc = "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12"
	goferry(t, "pack", "-C", "testdata/hello", "--tools", "--tool", protoc, "--toolchain", goVersion,
		"--platform", "linux/amd64,linux/arm64", "-o", ref)
	goferry(t, "verify", ref)
	s := unpack(t, ref)
	project := copyTree(t, "testdata/hello")
	if got := s.must(t, project, "protoc-gen-go --version"); got != "protoc-gen-go v1.36.12" {
		t.Errorf("protoc-gen-go is %q", got)
	}
	if err := os.WriteFile(filepath.Join(project, "colour.go"), []byte("package main\n\ntype colour int\n\nconst red colour = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.must(t, project, "stringer -type colour && go build ./...")
	checkBuilt(t, s, "stringer", "golang.org/x/tools@v0.51.0", goVersion)

	// A machine without a toolchain gets tools as well, and one of another kind.
	alone := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	goferry(t, "pack", "--tool", protoc, "--toolchain", "none", "--platform", "windows/amd64", "-o", alone)
	s = unpack(t, alone, "--platform", "windows/amd64")
	checkBuilt(t, s, "protoc-gen-go.exe", "google.golang.org/protobuf@v1.36.12", goEnv["GOVERSION"])
}

// checkBuilt holds what "go version -m" shows of a tool.
func checkBuilt(t *testing.T, s site, name, module, goVersion string) {
	t.Helper()
	said := command{}.must(t, "go", "version", "-m", filepath.Join(s.dir, "current/go/bin", name))
	path, version, _ := strings.Cut(module, "@")
	for _, want := range []string{": " + goVersion + "\n", "\tmod\t" + path + "\t" + version + "\th1:", "\tbuild\t-trimpath=true\n", "\tbuild\tCGO_ENABLED=0\n"} {
		if !strings.Contains(said+"\n", want) {
			t.Errorf("go version -m %s does not say %q:\n%s", name, want, said)
		}
	}
}

// TestEditorTools does the same with what editors and linters need, which takes minutes to build.
func TestEditorTools(t *testing.T) {
	if !*accept {
		t.Skip("building gopls, dlv, staticcheck and golangci-lint takes minutes: see -accept")
	}
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	start := time.Now()
	goferry(t, "pack", "-C", "testdata/hello", "--toolchain", goVersion, "-o", ref,
		"--tool", "golang.org/x/tools/gopls@v0.24.0",
		"--tool", "github.com/go-delve/delve/cmd/dlv@v1.27.2",
		"--tool", "honnef.co/go/tools/cmd/staticcheck@v0.8.2",
		"--tool", "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0",
		"--tool", "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12")
	t.Logf("packed in %s", time.Since(start).Round(time.Second))
	t.Log(goferry(t, "inspect", ref))
	s := unpack(t, ref)
	project := copyTree(t, "testdata/hello")
	for _, test := range []struct{ line, want string }{
		{"gopls version", "golang.org/x/tools/gopls v0.24.0"},
		{"gopls check main.go", ""},
		{"gopls definition main.go:27:21", "toml@v1.6.0"},
		{"staticcheck ./...", ""},
		{"dlv version", "Delve Debugger"},
		{"golangci-lint run --default none --enable govet ./...", "0 issues"},
		{"protoc-gen-go --version", "protoc-gen-go v1.36.12"},
	} {
		if got := s.must(t, project, test.line); !strings.Contains(got, test.want) {
			t.Errorf("%s: %s", test.line, got)
		}
	}
	// gopls asks for a newer Go than the bundle has.
	for name, by := range map[string]string{"gopls": "go1.27.0", "staticcheck": goVersion} {
		if said := (command{}).must(t, "go", "version", filepath.Join(s.dir, "current/go/bin", name)); !strings.HasSuffix(said, by) {
			t.Errorf("%s, want %s", said, by)
		}
	}
}
