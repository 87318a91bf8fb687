package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci"
)

var linux, linuxARM = gomod.Platform{OS: "linux", Arch: "amd64"}, gomod.Platform{OS: "linux", Arch: "arm64"}

// zipFile is one entry of a zip that a test makes.
type zipFile struct{ name, content string }

func makeZip(t testing.TB, files ...zipFile) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testModule makes a module with a zip file in dir.
func testModule(t testing.TB, dir, path, version string) gomod.Module {
	t.Helper()
	prefix := path + "@" + version + "/"
	mod := "module " + path + "\n"
	data := makeZip(t, zipFile{prefix + "go.mod", mod}, zipFile{prefix + "x.go", "package x // " + version + "\n"})
	name := filepath.Join(dir, filepath.Base(path)+version+".zip")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return gomod.Module{
		Path: path, Version: version, Info: []byte(`{"Version":"` + version + `"}`), Mod: []byte(mod),
		Zip: name, Size: int64(len(data)),
	}
}

func testToolchain(t testing.TB, dir, goVersion string, p gomod.Platform) gomod.Toolchain {
	t.Helper()
	version := toolchain.ModuleVersion(goVersion, p.OS, p.Arch)
	prefix := toolchainPath + "@" + version + "/"
	data := makeZip(t,
		zipFile{prefix + "VERSION", goVersion + "\n"}, zipFile{prefix + "bin/go", "the go command for " + p.String()},
		zipFile{prefix + "go.env", "GOPROXY=https://proxy.example\n"}, zipFile{prefix + "src/_go.mod", "module std\n"})
	name := filepath.Join(dir, version+".zip")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	m := gomod.Module{
		Path: toolchainPath, Version: version, Info: toolchain.Info(version), Mod: []byte(toolchain.GoMod),
		Zip: name, Size: int64(len(data)),
	}
	return gomod.Toolchain{Version: goVersion, Platform: p, Module: m}
}

// captured is what a capture of a small project gives: two modules, one in two versions of
// which one is only part of the graph, and a toolchain for two platforms.
func captured(t testing.TB) *gomod.Captured {
	t.Helper()
	dir := t.TempDir()
	sub := testModule(t, dir, "example.com/Upper/sub", "v1.2.0")
	old := gomod.Module{Path: "example.com/Upper/sub", Version: "v1.1.0", Info: []byte(`{"Version":"v1.1.0"}`), Mod: []byte("module example.com/Upper/sub\n")}
	tool := testModule(t, dir, "example.com/tool", "v0.0.0-20260102030405-0123456789ab")
	sum, err := dirhash.HashZip(sub.Zip, dirhash.DefaultHash)
	if err != nil {
		t.Fatal(err)
	}
	return &gomod.Captured{
		Modules:   []gomod.Module{sub, tool},
		GraphOnly: []gomod.Module{old},
		Toolchains: []gomod.Toolchain{
			testToolchain(t, dir, "go1.26.8", linux), testToolchain(t, dir, "go1.26.8", linuxARM),
		},
		Projects:  []gomod.Project{{Path: "example.com/main", GoMod: []byte("module example.com/main\n"), GoSum: []byte(sub.Path + " v1.2.0 " + sum + "\n")}},
		GoVersion: "go1.26.8",
		Env:       gomod.GoEnv{GOSUMDB: "off"},
	}
}

// packTest packs a capture and returns the store and the index.
func packTest(t testing.TB, c *gomod.Captured, dir string) (oci.Store, ocispec.Descriptor) {
	t.Helper()
	s := layout(t, dir)
	packed, err := packCaptured(t.Context(), s, c, "")
	if err != nil {
		t.Fatal(err)
	}
	return s, packed.Descriptor
}

func packCaptured(ctx context.Context, s oci.Store, c *gomod.Captured, cacheDir string) (Packed, error) {
	return packFor(ctx, s, c, toolchainPlatforms(c), cacheDir)
}

func packFor(ctx context.Context, s oci.Store, c *gomod.Captured, platforms []gomod.Platform, cacheDir string) (Packed, error) {
	p := newPacker(s, c, platforms, cacheDir)
	defer p.proofs.save()
	if err := p.begin(); err != nil {
		return Packed{}, err
	}
	return p.write(ctx)
}

func newPacker(s oci.Store, c *gomod.Captured, platforms []gomod.Platform, cacheDir string) *packer {
	return &packer{
		dst: s, tag: "v1", opts: PackOptions{Scope: gomod.Dev, Platforms: platforms, CacheDir: cacheDir, Warn: func(string) {}},
		report: func(Event) {}, captured: c, release: func() {}, proofs: openProofs(cacheDir),
	}
}

func toolchainPlatforms(c *gomod.Captured) (platforms []gomod.Platform) {
	for _, t := range c.Toolchains {
		platforms = append(platforms, t.Platform)
	}
	return platforms
}

func layout(t testing.TB, dir string) oci.Store {
	t.Helper()
	s, err := oci.Create(t.Context(), oci.Reference{Transport: oci.TransportLayout, Path: dir}, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func verifyTest(t testing.TB, s oci.Store) *Verified {
	t.Helper()
	v, err := Verify(t.Context(), s, "v1", VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestZipSum(t *testing.T) {
	m := module.Version{Path: "example.com/m", Version: "v1.0.0"}
	p := m.String() + "/"
	for _, test := range []struct {
		name  string
		files []zipFile
		ok    bool
	}{
		{"files", []zipFile{{p + "b.go", "package b"}, {p + "a/a.go", "package a"}}, true},
		{"directories", []zipFile{{p + "a/", ""}, {p + "a/a.go", "package a"}}, true},
		{"outside the prefix", []zipFile{{"example.com/other@v1.0.0/a.go", ""}}, false},
		{"dot dot", []zipFile{{p + "../a.go", ""}}, false},
		{"unclean", []zipFile{{p + "a//b.go", ""}}, false},
		{"reserved on Windows", []zipFile{{p + "aux.go", ""}}, false},
		{"bad character", []zipFile{{p + "x?y.go", ""}}, false},
		{"case collision", []zipFile{{p + "a.go", ""}, {p + "A.go", ""}}, false},
		{"file below a file", []zipFile{{p + "a", ""}, {p + "a/b.go", ""}}, false},
		{"file above a file", []zipFile{{p + "A/b.go", ""}, {p + "a", ""}}, false},
		{"twice", []zipFile{{p + "a.go", ""}, {p + "a.go", ""}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := makeZip(t, test.files...)
			sum, err := zipSum(m, bytes.NewReader(data), int64(len(data)))
			if !test.ok {
				if err == nil {
					t.Fatalf("zipSum = %s, want an error", sum)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "m.zip")
			if err := os.WriteFile(file, data, 0o644); err != nil {
				t.Fatal(err)
			}
			want, err := dirhash.HashZip(file, dirhash.DefaultHash)
			if err != nil {
				t.Fatal(err)
			}
			if sum != want {
				t.Errorf("zipSum = %s, want %s", sum, want)
			}
		})
	}
}

// archive/zip takes zips with something around them, and reads as many entries as it finds.
func TestZipSumRefusesOddEnds(t *testing.T) {
	m := module.Version{Path: "example.com/m", Version: "v1.0.0"}
	good := makeZip(t, zipFile{m.String() + "/a.go", "package a"})
	end := bytes.LastIndex(good, []byte("PK\x05\x06"))
	for name, data := range map[string][]byte{
		"empty":                   {},
		"only an end":             good[end:],
		"bytes before the zip":    append([]byte("#!/bin/sh\n"), good...),
		"cut":                     good[:len(good)-1],
		"bytes before the end":    slices.Concat(good[:end], []byte("xx"), good[end:]),
		"a zip64 end out of it":   slices.Concat(good[:end], []byte("PK\x06\x07\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00"), good[end:]),
		"a zip64 end at the edge": slices.Concat(good[:end], []byte("PK\x06\x07\x00\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"), good[end:]),
	} {
		if sum, err := zipSum(m, bytes.NewReader(data), int64(len(data))); err == nil {
			t.Errorf("%s: zipSum = %s, want an error", name, sum)
		}
	}
}

func TestQueries(t *testing.T) {
	const pseudo = "v1.9.0-0.20260102030405-0123456789ab"
	for _, test := range []struct {
		versions     []string
		list, latest string
	}{
		{[]string{"v1.0.0", "v1.10.0", "v1.9.0"}, "v1.0.0\nv1.10.0\nv1.9.0\n", "v1.10.0"},
		{[]string{"v1.0.0", "v1.1.0-rc.1", pseudo}, "v1.0.0\nv1.1.0-rc.1\n", "v1.0.0"},
		{[]string{"v1.1.0-rc.1", pseudo}, "v1.1.0-rc.1\n", "v1.1.0-rc.1"},
		{[]string{pseudo}, "", pseudo},
		{[]string{"v2.0.0+incompatible", "v1.0.0"}, "v2.0.0+incompatible\nv1.0.0\n", "v2.0.0+incompatible"},
	} {
		if got := string(listAnswer(test.versions)); got != test.list {
			t.Errorf("listAnswer(%q) = %q, want %q", test.versions, got, test.list)
		}
		if got := latest(test.versions); got != test.latest {
			t.Errorf("latest(%q) = %q, want %q", test.versions, got, test.latest)
		}
	}
}

func TestQueryable(t *testing.T) {
	got := queryable([]RecordModule{
		{Path: "a", Version: "v1.0.0", Sum: "h1:x"}, {Path: "a", Version: "v1.1.0"}, {Path: "b", Version: "v1.0.0"},
	})
	if len(got["a"]) != 1 || got["a"][0] != "v1.0.0" || len(got["b"]) != 1 {
		t.Errorf("queryable = %v: a version without a zip answers only where no version has one", got)
	}
}

func TestCheckWords(t *testing.T) {
	public := RecordModule{Path: "golang.org/x/mod", Version: "v0.1.0", Sum: "h1:x"}
	private := RecordModule{Path: "corp.example/m", Version: "v0.1.0", Sum: "h1:x", NoSumDB: true}
	for _, test := range []struct {
		name string
		r    Record
		ok   bool
	}{
		{"all in the database", Record{SumDB: "sum.golang.org", Modules: []RecordModule{public}}, true},
		{"one is private", Record{SumDB: "sum.golang.org", NoSumDB: "corp.example", Modules: []RecordModule{private, public}}, true},
		{"no database", Record{NoSumDB: "*", Modules: []RecordModule{private}}, true},
		{"a public one taken out", Record{SumDB: "sum.golang.org", NoSumDB: "*", Modules: []RecordModule{private, public}}, false},
		{"for no module", Record{SumDB: "sum.golang.org", NoSumDB: "corp.example", Modules: []RecordModule{public}}, false},
		{"a newline", Record{Scope: "dev\nGOFLAGS=x"}, false},
		{"a space", Record{SumDB: "sum.golang.org https://evil.example"}, false},
		{"an unknown database without a key", Record{SumDB: "sum.example"}, false},
		{"a version without a toolchain", Record{GoVersion: "go1.26.8"}, false},
	} {
		if err := test.r.checkWords(); (err == nil) != test.ok {
			t.Errorf("%s: checkWords = %v", test.name, err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	r := Record{Format: formatVersion, Scope: "dev", Modules: []RecordModule{{Path: "a", Version: "v1.0.0", Sum: "h1:x"}}}
	data, err := r.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"1","modules":[{"path":"../x","version":"v1.0.0"}]}`))
	f.Add([]byte(`{"format":"1","scope":"dev"} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data)
		if err != nil {
			return
		}
		again, err := r.encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("parseRecord took %q, which is not what encode writes: %q, %v", data, again, err)
		}
		for _, m := range r.Modules {
			name, err := moduleFile(module.Version{Path: m.Path, Version: m.Version}, ".mod")
			if err != nil || !filepath.IsLocal(name) {
				t.Errorf("module %q leads to the file %q, %v", m, name, err)
			}
		}
	})
}

func TestFramed(t *testing.T) {
	f := framed{[]byte("head"), bytes.NewReader([]byte("0123456789")), 10, []byte("tail!")}
	const want = "head0123456789tail!"
	for start := range len(want) {
		for end := start; end <= len(want); end++ {
			got := make([]byte, end-start)
			n, err := f.ReadAt(got, int64(start))
			if n != len(got) || err != nil || string(got) != want[start:end] {
				t.Fatalf("ReadAt(%d bytes at %d) = %q, %d, %v", end-start, start, got, n, err)
			}
		}
	}
	if n, err := f.ReadAt(make([]byte, 10), int64(len(want)-3)); n != 3 || err != io.EOF {
		t.Errorf("ReadAt across the end = %d, %v, want 3, EOF", n, err)
	}
	f.size = 12 // the file lost two bytes meanwhile
	if _, err := f.ReadAt(make([]byte, 20), 0); err != io.ErrUnexpectedEOF {
		t.Errorf("ReadAt of a file that shrank: %v, want %v", err, io.ErrUnexpectedEOF)
	}
}
