package gomod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

// The cases build on one another: each has the files that the last one left.
func TestMemoryKey(t *testing.T) {
	b, opts := remembering(t, tidySpace)
	for _, test := range []struct {
		name   string
		change func(*bench, *Options)
		hit    bool
	}{
		{"nothing", func(*bench, *Options) {}, true},
		{"a text", func(b *bench, _ *Options) { b.write("project/README", "x") }, true},
		{"a nested module", func(b *bench, _ *Options) { b.write("project/other/o.go", "package o\n") }, true},
		{"a vendor directory", func(b *bench, _ *Options) { b.write("project/vendor/v/v.go", "package w\n\n") }, true},
		{"the repository", func(b *bench, _ *Options) { b.write("project/.git/x.go", "package y\n\n") }, true},
		{"go.mod", func(b *bench, _ *Options) {
			b.write("project/go.mod", strings.ReplaceAll(string(mustRead(b.t, b.dir("go.mod"))), "b v1.0.0", "b v1.1.0"))
		}, false},
		{"go.sum", func(b *bench, _ *Options) { b.write("project/go.sum", "\n") }, false},
		{"go.work.sum", func(b *bench, _ *Options) { b.write("project/go.work.sum", "\n") }, false},
		{"an import", func(b *bench, _ *Options) {
			b.write("project/app.go", "package app\n\nimport _ \"example.com/a\"\n")
			b.age()
		}, false},
		{"a touched file", func(b *bench, _ *Options) { b.write("project/app.go", string(mustRead(b.t, b.dir("app.go")))) }, false},
		{"a new file", func(b *bench, _ *Options) { b.write("project/p/p.go", "package p\n") }, false},
		{"a new file in testdata", func(b *bench, _ *Options) { b.write("project/testdata/p/p.go", "package p\n") }, false},
		{"a file less", func(b *bench, _ *Options) { os.Remove(b.dir("app.go")) }, false},
		{"a nested module less", func(b *bench, _ *Options) { os.Remove(b.dir("other/go.mod")) }, false},
		{"go.mod of a member", func(b *bench, _ *Options) { b.write("project/y/go.mod", "module example.com/y\n\ngo 1.22\n") }, false},
		{"a file of a member", func(b *bench, _ *Options) { b.write("project/y/y.go", "package y\n") }, false},
		{"a file of a replacement", func(b *bench, _ *Options) { b.write("project/lib/more.go", "package lib\n") }, false},
		{"go.mod of a replacement", func(b *bench, _ *Options) { b.write("project/lib/go.mod", "module example.com/lib\n\ngo 1.21\n") }, false},
		{"go.work", func(b *bench, _ *Options) { b.write("project/go.work", "go 1.22\n\nuse .\n") }, false},
		{"scope", func(_ *bench, o *Options) { o.Scope = Build }, false},
		{"no toolchain", func(_ *bench, o *Options) { o.Toolchains = []string{"none"} }, false},
		{"another toolchain", func(_ *bench, o *Options) { o.Toolchains = []string{"go1.23.5"} }, false},
		{"a further toolchain", func(_ *bench, o *Options) { o.Toolchains = append(o.Toolchains, "go1.23.5") }, false},
		{"another platform", func(_ *bench, o *Options) { o.Toolchains, o.Platforms = []string{"go1.23.5"}, []Platform{darwin} }, false},
		{"an extra module", func(_ *bench, o *Options) {
			o.Modules = []module.Version{{Path: "example.com/legacy", Version: "v1.0.0"}}
		}, false},
		{"the environment", func(_ *bench, o *Options) { o.Env = []string{"GONOPROXY=none"} }, false},
		{"GOFLAGS", func(_ *bench, o *Options) { o.Env = []string{"GOFLAGS=-tags=x"} }, false},
		{"GOTOOLCHAIN", func(_ *bench, o *Options) { o.Env = []string{"GOTOOLCHAIN=auto"} }, false},
		{"GOENV", func(b *bench, o *Options) {
			b.write("goenv", "GOINSECURE=x\n")
			o.Env = []string{"GOENV=" + filepath.Join(b.root, "goenv")}
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			opts := opts
			before := b.key(opts)
			test.change(b, &opts)
			if hit := b.key(opts) == before; hit != test.hit {
				t.Errorf("remembered: %t, want %t", hit, test.hit)
			}
		})
	}
}

// key is what opts are remembered by.
func (b *bench) key(opts Options) string {
	b.t.Helper()
	opts.Env = append(b.env(), opts.Env...)
	opts = opts.withDefaults()
	g, err := newGoCommand(b.t.Context(), opts)
	if err != nil {
		b.t.Fatal(err)
	}
	mains, spaces, err := g.findProjects(b.t.Context(), opts.Dirs, &Captured{sums: map[module.Version]string{}})
	if err != nil {
		b.t.Fatal(err)
	}
	m := g.openMemory(opts, mains, spaces)
	if m.key == "" {
		b.t.Error("no key")
	}
	return m.key
}
