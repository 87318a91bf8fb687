package gomod

import (
	"errors"
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
	for _, list := range [][]toolPackage{tools("example.com/a", "example.com/b/a"), tools("example.com/gofmt"), tools("example.com/a", "example.com/a/v2")} {
		if err := checkToolNames(list); !errors.Is(err, ErrTool) {
			t.Errorf("checkToolNames(%v) = %v", list, err)
		}
	}
}
