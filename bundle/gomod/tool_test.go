package gomod

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestToolName(t *testing.T) {
	for pkg, want := range map[string]string{
		"golang.org/x/tools/gopls":                    "gopls",
		"github.com/golangci/golangci-lint/v2":        "golangci-lint",
		"github.com/golangci/golangci-lint/v2/cmd/ci": "ci",
		"example.com/v2":                              "example.com",
		"example.com/a/v1":                            "v1",
		"example.com/a/v2x":                           "v2x",
		"example.com/a/v02":                           "v02",
		"v2":                                          "v2",
	} {
		if got := ToolName(pkg); got != want {
			t.Errorf("ToolName(%q) = %q, want %q", pkg, got, want)
		}
	}
}

// Of the user's settings for the go command and for cgo none is left, whatever the order; and of the rest all is.
func TestBuildEnv(t *testing.T) {
	user := []string{"PATH=/bin", "GOFLAGS=-race", "HOME=/home/u", "GOEXPERIMENT=jsonv2", "GODEBUG=x=1", "CGO_CFLAGS=-g", "GOROOT=/old", "GOBIN=/bin"}
	env := buildEnv(user, linux, "/s/gopath", "/s/tools/tool0", "/s")
	for _, name := range []string{"GOEXPERIMENT", "GODEBUG", "CGO_CFLAGS", "GOROOT", "GOBIN"} {
		if slices.ContainsFunc(env, func(line string) bool { return strings.HasPrefix(line, name+"=") }) {
			t.Errorf("%s is in the environment", name)
		}
	}
	for name, want := range map[string]string{"PATH": "/bin", "HOME": "/home/u", "GOFLAGS": "-trimpath -buildvcs=false -modcacherw", "GOENV": "off", "CGO_ENABLED": "0"} {
		if got := lookupEnv(env, name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
}

// A module that replaces others cannot be installed by its version, which the go command says.
func TestToolWithReplace(t *testing.T) {
	b := newBench(t, nil)
	_, err := b.capture(Options{Tools: []string{"example.com/Tool@latest"}, Toolchains: []string{"none"}, Platforms: []Platform{linux}})
	if err == nil || !strings.Contains(err.Error(), "tool example.com/Tool@v1.2.0 for linux/amd64: ") || !strings.Contains(err.Error(), "replace directives") {
		t.Errorf("error %v", err)
	}
}

// A tool that was built once is not built again, unless what was kept of it is damaged, or anything else is asked for.
func TestToolKept(t *testing.T) {
	dir := t.TempDir()
	b := &toolBuilder{user: &goCommand{kept: filepath.Join(dir, "download")}, tool: toolPackage{path: "example.com/a"}, goVersion: "go1.26.8"}
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "some", "to")
	if err := os.WriteFile(from, []byte("executable"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.keep(linux, from)
	if !b.recall(linux, to) || string(mustRead(t, to)) != "executable" {
		t.Fatal("not kept")
	}
	newer := *b
	newer.goVersion = "go1.26.9"
	if b.recall(darwin, to) || newer.recall(linux, to) {
		t.Error("another one is recalled")
	}
	kept := b.kept(linux)
	if err := os.WriteFile(kept, append(mustRead(t, kept), '!'), 0o600); err != nil {
		t.Fatal(err)
	}
	if b.recall(linux, to) {
		t.Error("recalled though it is damaged")
	}
	if b.keep(linux, from); !b.recall(linux, to) {
		t.Error("a damaged one is not replaced")
	}
	if nowhere := (&toolBuilder{user: &goCommand{}}); nowhere.recall(linux, to) {
		t.Error("recalled from nowhere")
	}
}

func TestToolNames(t *testing.T) {
	tools := func(paths ...string) (list []toolPackage) {
		for _, path := range paths {
			list = append(list, toolPackage{path: path})
		}
		return list
	}
	if err := checkToolNames(tools("example.com/a", "example.com/b", "example.com/a/v2/c")); err != nil {
		t.Error(err)
	}
	for _, list := range [][]toolPackage{tools("example.com/a", "example.com/b/a"), tools("example.com/gofmt"), tools("example.com/Go"), tools("example.com/A", "example.com/a"), tools("example.com/a", "example.com/a/v2")} {
		if err := checkToolNames(list); !errors.Is(err, ErrTool) {
			t.Errorf("checkToolNames(%v) = %v", list, err)
		}
	}
}
