package gomod

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/module"
)

func TestReadRequired(t *testing.T) {
	dir := t.TempDir()
	goMod := filepath.Join(dir, "go.mod")
	for name, text := range map[string]string{
		"go.mod": `module example.org/app

go 1.25

toolchain go1.26.8

require (
	example.com/a v1.0.0
	example.com/b v1.0.0 // indirect
	example.com/local v1.0.0
	example.com/old v1.0.0
)

replace (
	example.com/local => ./local
	example.com/old => example.com/new v1.1.0
	example.com/old v0.9.0 => ./old
)
`,
		"go.sum": "example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:y=\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := ReadRequired(goMod)
	if err != nil {
		t.Fatal(err)
	}
	want := map[module.Version]string{
		{Path: "example.com/a", Version: "v1.0.0"}:   "h1:x=",
		{Path: "example.com/b", Version: "v1.0.0"}:   "",
		{Path: "example.com/new", Version: "v1.1.0"}: "",
	}
	if !maps.Equal(r.Modules, want) || r.GoVersion != "go1.26.8" {
		t.Errorf("ReadRequired() = %v", r)
	}
	if err := os.WriteFile(goMod, []byte("module\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRequired(goMod); err == nil {
		t.Error("a malformed go.mod is read")
	}
}
