package bundle

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle/gomod"
)

// testExecutable is as little of an executable as says what it was built of.
func testExecutable(t testing.TB, info *debug.BuildInfo) []byte {
	t.Helper()
	said := *info
	said.GoVersion = ""
	data := append([]byte("\xff Go buildinf:\x08\x02"), make([]byte, 16)...)
	for _, s := range []string{info.GoVersion, strings.Repeat("<", 16) + said.String() + strings.Repeat(">", 16)} {
		data = append(binary.AppendUvarint(data, uint64(len(s))), s...)
	}
	const start, pad, base = 64 + 56, 8, 0x400000 // behind the two headers
	header := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Shoff: 0,
		Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	size := uint64(len(data))
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: start + pad, Vaddr: base, Filesz: size, Memsz: size, Align: 16,
	}
	var b bytes.Buffer
	for _, part := range []any{header, segment, make([]byte, pad), data} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

const toolSum = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

func testInfo(pkg, version string, p gomod.Platform) *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8", Path: pkg,
		Main: debug.Module{Path: "example.com/cmds", Version: version, Sum: toolSum},
		Deps: []*debug.Module{{Path: "example.com/dep", Version: "v1.0.0", Sum: toolSum}},
		Settings: []debug.BuildSetting{
			{Key: "-trimpath", Value: "true"}, {Key: "CGO_ENABLED", Value: "0"}, {Key: "GOARCH", Value: p.Arch}, {Key: "GOOS", Value: p.OS},
		},
	}
}

func testTool(t testing.TB, dir, pkg, version string, p gomod.Platform) gomod.Tool {
	t.Helper()
	info := testInfo(pkg, version, p)
	name := filepath.Join(dir, digest.FromString(pkg+version+p.String()).Encoded())
	if err := os.WriteFile(name, testExecutable(t, info), 0o755); err != nil {
		t.Fatal(err)
	}
	return gomod.Tool{Package: pkg, Version: version, Platform: p, File: name, Info: info}
}

// withTools is what a capture gives that was asked for two tools.
func withTools(t testing.TB) *gomod.Captured {
	t.Helper()
	c, dir := captured(t), t.TempDir()
	for _, pkg := range []string{"example.com/cmds/a", "example.com/cmds/b/v2"} {
		for _, p := range []gomod.Platform{linux, linuxARM} {
			c.Tools = append(c.Tools, testTool(t, dir, pkg, "v1.0.0", p))
		}
	}
	return c
}

// Tools are packed, proven, and unpacked beside GOROOT's commands; once there they are linked, and checked again.
func TestTools(t *testing.T) {
	c := withTools(t)
	s, desc := packTest(t, c, t.TempDir())
	if _, again := packTest(t, c, t.TempDir()); again.Digest != desc.Digest {
		t.Errorf("packed again it is %s, not %s", again.Digest, desc.Digest)
	}
	report, err := verifyTest(t, s).Check(t.Context())
	if err != nil || report.Tools != 4 {
		t.Fatalf("Check found %d tools: %v", report.Tools, err)
	}
	if got, want := report.NotInSumDB, "example.com/dep@v1.0.0"; !slices.Contains(got, want) {
		t.Errorf("not in the checksum database are %q, and not %s", got, want)
	}
	info := verifyTest(t, s).Info()
	if len(info.Tools) != 4 || info.Tools[0].Tool != "example.com/cmds/a@v1.0.0" || info.Tools[0].Sum != toolSum || info.Tools[0].Shared {
		t.Errorf("tools are %+v", info.Tools)
	}
	dir := t.TempDir()
	for _, linked := range []int{0, 5} { // GOROOT, two modules, two tools
		u, err := Unpack(t.Context(), alone(verifyTest(t, s)), dir, UnpackOptions{Platform: linuxARM})
		if err != nil || u.Tools != 2 || u.Linked != linked {
			t.Fatalf("Unpack = %+v, %v; want %d linked", u, err, linked)
		}
	}
	for i, name := range []string{"a", "b"} {
		file := filepath.Join(dir, "current/go/bin", name)
		want, _ := os.ReadFile(c.Tools[2*i+1].File)
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, want %d: %v", name, len(got), len(want), err)
		}
		if stat, err := os.Stat(file); err == nil && stat.Mode() != 0o755 {
			t.Errorf("%s has the mode %s", name, stat.Mode())
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "current/go/bin/go")); err != nil {
		t.Error(err)
	}
}

// A site can have many bundles, and of each tool the newest; but not two tools of one name.
func TestToolsOfSeveralBundles(t *testing.T) {
	pack := func(pkg, version string) SiteBundle {
		c := captured(t)
		c.Toolchains = c.Toolchains[:1]
		c.Tools = []gomod.Tool{testTool(t, t.TempDir(), pkg, version, linux)}
		s, _ := packTest(t, c, t.TempDir())
		return SiteBundle{pkg + "@" + version, verifyTest(t, s)}
	}
	older, newer := pack("example.com/cmds/a", "v1.9.0"), pack("example.com/cmds/a", "v1.10.0")
	for _, bundles := range [][]SiteBundle{{older, newer}, {newer, older}} {
		u, err := Unpack(t.Context(), bundles, t.TempDir(), UnpackOptions{Platform: linux})
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Record.ToolNames(); !slices.Equal(got, []string{"example.com/cmds/a@v1.10.0"}) || u.Tools != 1 {
			t.Errorf("%d tools: %q", u.Tools, got)
		}
		if _, err := OpenSite(t.Context(), bundles, SiteOptions{}); err != nil {
			t.Error(err)
		}
	}
	_, err := Unpack(t.Context(), []SiteBundle{older, pack("example.com/cmds/other/a", "v1.9.0")}, t.TempDir(), UnpackOptions{Platform: linux})
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "go/bin/a is example.com/cmds/a in") {
		t.Errorf("two tools of one name: %v", err)
	}
}

// gzipped is a tool's layer, or almost one.
func gzipped(t *testing.T, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, p := range parts {
		z.Write(p)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What is not the one executable that the record tells of is refused, whoever signed it.
func TestForgedTools(t *testing.T) {
	const at = 1 // the layer of a, behind GOROOT
	layerOf := func(t *testing.T, edit func(*debug.BuildInfo)) []byte {
		info := testInfo("example.com/cmds/a", "v1.0.0", linux)
		edit(info)
		executable := testExecutable(t, info)
		head, tail, err := toolTar("go/bin/a", int64(len(executable)))
		if err != nil {
			t.Fatal(err)
		}
		return gzipped(t, head, executable, tail)
	}
	says := func(edit func(*debug.BuildInfo)) func(*testing.T, *forgery) {
		return func(t *testing.T, f *forgery) { f.replaceTool(t, at, layerOf(t, edit)) }
	}
	parts := func(t *testing.T, name string, size int64) (head, executable, tail []byte) {
		executable = testExecutable(t, testInfo("example.com/cmds/a", "v1.0.0", linux))
		head, tail, err := toolTar(name, size+int64(len(executable)))
		if err != nil {
			t.Fatal(err)
		}
		return head, executable, tail
	}
	for _, test := range []struct {
		name string
		edit func(t *testing.T, f *forgery)
		want string
	}{
		{"of another package", says(func(i *debug.BuildInfo) { i.Path = "example.com/cmds/evil" }), "the executable is example.com/cmds/evil"},
		{"of another version", says(func(i *debug.BuildInfo) { i.Main.Version = "v1.0.1" }), "example.com/cmds@v1.0.1"},
		{"of another sum", says(func(i *debug.BuildInfo) { i.Main.Sum = "h1:other" }), "the bundle says"},
		{"of a dependency's other version", says(func(i *debug.BuildInfo) { i.Deps[0].Version = "v1.0.1" }), "the bundle says"},
		{"of a dependency more", says(func(i *debug.BuildInfo) {
			i.Deps = append(i.Deps, &debug.Module{Path: "example.com/evil", Version: "v1.0.0", Sum: toolSum})
		}), "built of 3 modules, not of 2"},
		{"of a replaced module", says(func(i *debug.BuildInfo) { i.Deps[0].Replace = &debug.Module{Path: "example.com/evil"} }), "replaced module"},
		{"for another platform", says(func(i *debug.BuildInfo) { i.Settings[2].Value = "arm64" }), "built with GOARCH=arm64"},
		{"with cgo", says(func(i *debug.BuildInfo) { i.Settings[1].Value = "1" }), "built with CGO_ENABLED=1"},
		{"with paths", says(func(i *debug.BuildInfo) { i.Settings = i.Settings[1:] }), "does not say all of how"},
		{"by another Go", says(func(i *debug.BuildInfo) { i.GoVersion = "go1.26.7" }), "was built by go1.26.7"},
		{"that says nothing", func(t *testing.T, f *forgery) {
			head, tail, _ := toolTar("go/bin/a", 4)
			f.replaceTool(t, at, gzipped(t, head, []byte("evil"), tail))
		}, "unrecognized file format"},
		{"of another name", func(t *testing.T, f *forgery) {
			head, executable, tail := parts(t, "go/bin/go", 0)
			f.replaceTool(t, at, gzipped(t, head, executable, tail))
		}, "it is not that of go/bin/a"},
		{"with a file more", func(t *testing.T, f *forgery) {
			head, executable, tail := parts(t, "go/bin/a", 0)
			more, _, _ := toolTar("go/bin/go", 0)
			f.replaceTool(t, at, gzipped(t, head, executable, tail[:len(tail)-1024], more, tail))
		}, "not in the form that goferry writes"},
		{"with bytes behind it", func(t *testing.T, f *forgery) {
			head, executable, tail := parts(t, "go/bin/a", 0)
			f.replaceTool(t, at, append(gzipped(t, head, executable, tail), 0))
		}, "something behind it"},
		{"larger than any", func(t *testing.T, f *forgery) {
			head, executable, tail := parts(t, "go/bin/a", 2<<30)
			f.replaceTool(t, at, gzipped(t, head, executable, tail))
		}, "more than 1073741824"},
		{"cut short", func(t *testing.T, f *forgery) {
			head, executable, _ := parts(t, "go/bin/a", 0)
			f.replaceTool(t, at, gzipped(t, head, executable))
		}, "not in the form that goferry writes"},
		{"under another name", func(t *testing.T, f *forgery) {
			f.manifest.Layers[at].Annotations[AnnotationTool] = "example.com/cmds/c@v1.0.0"
		}, "stands where it does not belong"},
		{"under another sum", func(t *testing.T, f *forgery) {
			f.manifest.Layers[at].Annotations[AnnotationSum] = "h1:other"
		}, "not what the bundle's record says"},
		{"of which the record says nothing", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.Tools = r.Tools[1:] })
		}, "not what the bundle's record says"},
		{"that is not there", func(t *testing.T, f *forgery) {
			f.manifest.Layers = slices.Delete(f.manifest.Layers, at, at+1)
			f.image.RootFS.DiffIDs = slices.Delete(f.image.RootFS.DiffIDs, at, at+1)
		}, "has 1 tool layers, the bundle's record 2"},
		{"without the sum of a module", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.ToolModules = r.ToolModules[:1] })
		}, "of which there is no sum"},
		{"in place of the go command", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.Tools[1].Package = "example.com/cmds/go" })
		}, "no tool can be called go"},
		{"in its place where case does not count", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) {
				r.Tools[1].Package = "example.com/cmds/Go"
				slices.SortFunc(r.Tools, compareTools)
			})
		}, "no tool can be called Go"},
		{"in the place of another where case does not count", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) {
				r.Tools[1].Package = "example.com/cmds/A"
				slices.SortFunc(r.Tools, compareTools)
			})
		}, "go/bin/a twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := withTools(t)
			c.Toolchains = c.Toolchains[:1]
			c.Tools = slices.DeleteFunc(c.Tools, func(t gomod.Tool) bool { return t.Platform != linux })
			f := newForgeryOf(t, c)
			test.edit(t, f)
			f.refused(t, test.want)
		})
	}
}

// replaceTool puts another layer in place of a tool's, with the diff_id that it has.
func (f *forgery) replaceTool(t *testing.T, i int, data []byte) {
	t.Helper()
	f.replaceLayer(t, i, data)
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	tar, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	f.image.RootFS.DiffIDs[i] = digest.FromBytes(tar)
}

// FuzzReadTool holds that no layer makes the reader panic, or hold more than it should.
func FuzzReadTool(f *testing.F) {
	executable := testExecutable(f, testInfo("example.com/cmds/a", "v1.0.0", linux))
	f.Add(executable)
	f.Add(executable[:len(executable)/2])
	f.Add([]byte("MZ"))
	f.Add([]byte("\xca\xfe\xba\xbe"))
	f.Fuzz(func(t *testing.T, executable []byte) {
		var layer bytes.Buffer
		if err := writeTool(context.Background(), &layer, "go/bin/a", int64(len(executable)), bytes.NewReader(executable)); err != nil {
			t.Fatal(err)
		}
		s, err := newSpool(0)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if c, err := readToolLayer(context.Background(), &layer, "example.com/cmds/a", linux, s); err == nil && c.info == nil {
			t.Error("nothing is said, and no error")
		}
	})
}
