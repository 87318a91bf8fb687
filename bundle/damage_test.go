package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// blobs returns what each blob of a bundle is, by its file in the layout.
func blobs(t *testing.T, v *Verified, dir string) map[string]string {
	t.Helper()
	file := func(d digest.Digest) string { return filepath.Join(dir, "blobs", "sha256", d.Encoded()) }
	names := map[string]string{file(v.Index.Digest): "index"}
	for _, p := range v.Platforms {
		names[file(p.Manifest.Digest)] = "manifest"
		names[file(p.Config.Digest)] = "config"
		for _, l := range p.Layers {
			names[file(l.Digest)] = layerName(l)
		}
	}
	return names
}

// verifyAll does what the command verify does.
func verifyAll(ctx context.Context, dir string) error {
	s, err := oci.Open(ctx, oci.Reference{Transport: oci.TransportLayout, Path: dir}, oci.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := Verify(ctx, s, "v1", VerifyOptions{})
	if err != nil {
		return err
	}
	_, err = v.Check(ctx)
	return err
}

// Every blob, damaged in every way, is found, and named.
func TestCheckFindsDamage(t *testing.T) {
	dir := t.TempDir()
	s, _ := packTest(t, captured(t), dir)
	if err := verifyAll(t.Context(), dir); err != nil {
		t.Fatalf("whole bundle: %v", err)
	}
	for file, name := range blobs(t, verifyTest(t, s), dir) {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		damages := map[string][]byte{
			"gone":          nil,
			"cut":           whole[:len(whole)/2],
			"cut at end":    whole[:len(whole)-1],
			"empty":         {},
			"byte appended": append(bytes.Clone(whole), 0),
		}
		for at := 0; at < len(whole); at += max(1, len(whole)/23) {
			flipped := bytes.Clone(whole)
			flipped[at] ^= 1
			damages[fmt.Sprintf("flip byte %d", at)] = flipped
		}
		for damage, data := range damages {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if data != nil {
				if err := os.WriteFile(file, data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := verifyAll(t.Context(), dir)
			switch {
			case err == nil:
				t.Errorf("%s, %s: not found", name, damage)
			case data == nil && name != "index" && !errors.Is(err, ErrIncomplete):
				t.Errorf("%s, %s: %v, want ErrIncomplete", name, damage, err)
			case data != nil && !errors.Is(err, ErrMismatch):
				t.Errorf("%s, %s: %v, want ErrMismatch", name, damage, err)
			case strings.Contains(name, "@") && !strings.Contains(err.Error(), name):
				t.Errorf("%s, %s: %v does not name it", name, damage, err)
			}
			if err := os.WriteFile(file, whole, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Check names everything that is wrong in one run.
func TestCheckNamesAll(t *testing.T) {
	dir := t.TempDir()
	s, _ := packTest(t, captured(t), dir)
	v := verifyTest(t, s)
	files := blobs(t, v, dir)
	for file, name := range files {
		if strings.HasPrefix(name, "example.com/") {
			if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	report, err := v.Check(t.Context())
	if err == nil || len(report.Problems) != 2 {
		t.Fatalf("Check = %+v, %v, want two problems", report, err)
	}
	for i, want := range []string{"example.com/Upper/sub@v1.2.0", "example.com/tool@v0.0.0-20260102030405-0123456789ab"} {
		if report.Problems[i].Name != want {
			t.Errorf("problem %d is %s, want %s", i, report.Problems[i].Name, want)
		}
	}
}

// A forger who recomputes every digest up to the index is found by what the parts say of each
// other.
func TestCheckFindsForgery(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(t *testing.T, c *forgery)
		want string
	}{
		{"another zip under the same sum", func(t *testing.T, f *forgery) {
			m := testModule(t, t.TempDir(), "example.com/Upper/sub", "v1.2.0")
			evil := makeZip(t, zipFile{m.Path + "@v1.2.0/go.mod", "module evil\n"})
			f.replaceModule(t, 1, m.Info, m.Mod, evil)
		}, "the zip has the sum"},
		{"another go.mod file", func(t *testing.T, f *forgery) {
			zip := f.zip(t, 1)
			f.replaceModule(t, 1, []byte(`{"Version":"v1.2.0"}`), []byte("module evil\n"), zip)
		}, "the go.mod file has the sum"},
		{"a .info file of another version", func(t *testing.T, f *forgery) {
			f.replaceModule(t, 1, []byte(`{"Version":"v9.9.9"}`), []byte("module example.com/Upper/sub\n"), f.zip(t, 1))
		}, ".info file is of version"},
		{"one blob under two names", func(_ *testing.T, f *forgery) {
			extra := f.manifest.Layers[1]
			extra.Annotations = map[string]string{AnnotationModule: "example.com/x@v1.0.0", AnnotationSum: "h1:x"}
			f.manifest.Layers = append(f.manifest.Layers[:2:2], append([]ocispec.Descriptor{extra}, f.manifest.Layers[2:]...)...)
			f.image.RootFS.DiffIDs = append(f.image.RootFS.DiffIDs[:2:2], append([]digest.Digest{extra.Digest}, f.image.RootFS.DiffIDs[2:]...)...)
		}, "is both"},
		{"a layer too many", func(t *testing.T, f *forgery) {
			m := testModule(t, t.TempDir(), "example.com/x", "v1.0.0")
			zip, err := os.ReadFile(m.Zip)
			if err != nil {
				t.Fatal(err)
			}
			head, tail, err := moduleTar(module.Version{Path: m.Path, Version: m.Version}, m.Info, m.Mod, m.Size)
			if err != nil {
				t.Fatal(err)
			}
			extra := f.push(t, mediaTypeTar, bytes.Join([][]byte{head, zip, tail}, nil))
			extra.Annotations = map[string]string{AnnotationModule: "example.com/x@v1.0.0", AnnotationSum: "h1:x"}
			f.manifest.Layers = append(f.manifest.Layers[:2:2], append([]ocispec.Descriptor{extra}, f.manifest.Layers[2:]...)...)
			f.image.RootFS.DiffIDs = append(f.image.RootFS.DiffIDs[:2:2], append([]digest.Digest{extra.Digest}, f.image.RootFS.DiffIDs[2:]...)...)
		}, "not what the bundle's record says"},
		{"a layer too few", func(_ *testing.T, f *forgery) {
			f.manifest.Layers = append(f.manifest.Layers[:1:1], f.manifest.Layers[2:]...)
			f.image.RootFS.DiffIDs = append(f.image.RootFS.DiffIDs[:1:1], f.image.RootFS.DiffIDs[2:]...)
		}, "modules, the bundle"},
		{"a diff_id of something else", func(_ *testing.T, f *forgery) {
			f.image.RootFS.DiffIDs[0] = digest.FromString("x")
		}, "diff_id"},
		{"a config for another platform", func(_ *testing.T, f *forgery) { f.image.Architecture = "arm64" }, `it is for "linux"/"arm64"`},
		{"a layer of an unknown kind", func(_ *testing.T, f *forgery) {
			f.manifest.Layers[1].MediaType = "application/octet-stream"
		}, "none that belongs there"},
		{"a graph that is called a module", func(_ *testing.T, f *forgery) {
			f.manifest.Layers[len(f.manifest.Layers)-1].Annotations[AnnotationModule] = "graph"
		}, "last layer is not the module graph's"},
		{"a graph with one file more", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) { files["etc/passwd"] = []byte("root::0:0") })
		}, "etc/passwd"},
		{"a list with one version more", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) {
				files[downloadDir+"example.com/!upper/sub/@v/list"] = []byte("v1.2.0\nv6.6.6\n")
			})
		}, "@v/list"},
		{"a carried .ziphash", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) {
				files[downloadDir+"example.com/!upper/sub/@v/v1.2.0.ziphash"] = []byte("h1:x")
			})
		}, ".ziphash"},
		{"a file below the checksum database's directory", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) {
				files[downloadDir+"sumdb/a/../../../../../go/src/fmt/evil.go"] = []byte("package fmt")
			})
		}, "does not belong there"},
		{"a sparse file", func(t *testing.T, f *forgery) {
			var b bytes.Buffer
			tw := tar.NewWriter(&b)
			tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: recordName, Size: 1 << 50, Mode: 0o644})
			f.replaceLayer(t, len(f.manifest.Layers)-1, b.Bytes())
		}, "is not a regular file of"},
		{"a line for the go command's environment", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.NoSumDB = "none\nGOFLAGS=-toolexec=evil" })
		}, "space or control character"},
		{"a Go version that the toolchain is not", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.GoVersion = "go1.26.9" })
		}, `it says Go version "go1.26.9"`},
		{"a toolchain of another platform", func(_ *testing.T, f *forgery) {
			f.index.Manifests[0].Platform.OS, f.image.OS = "darwin", "darwin"
		}, "is not a toolchain for darwin"},
		{"an index that says another checksum database", func(_ *testing.T, f *forgery) {
			f.index.Annotations[AnnotationSumDB] = "sum.golang.org"
		}, `dev.goferry.sumdb="sum.golang.org", proven is ""`},
		{"an index that says another toolchain", func(_ *testing.T, f *forgery) {
			f.index.Annotations[AnnotationToolchain] = "go1.26.9"
		}, `proven is "go1.26.8"`},
		{"an environment that the bundle does not need", func(_ *testing.T, f *forgery) {
			f.image.Config.Env = append(f.image.Config.Env, "GOFLAGS=-toolexec=evil")
		}, "not the one that goferry writes"},
		{"an environment without the checksum database", func(_ *testing.T, f *forgery) {
			f.image.Config.Env = slices.DeleteFunc(f.image.Config.Env, func(e string) bool { return strings.HasPrefix(e, "GONOPROXY=") })
		}, "not the one that goferry writes"},
		{"a command of the forger's", func(_ *testing.T, f *forgery) {
			f.image.Config.Entrypoint = []string{"/bin/sh", "-c", "evil"}
		}, "not the one that goferry writes"},
		{"a user of the forger's", func(_ *testing.T, f *forgery) { f.image.Config.User = "0:0" }, "not the one that goferry writes"},
		{"a forged go.sum", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) {
				files[recordName] = bytes.Replace(files[recordName], []byte(" v1.2.0 h1:"), []byte(" v1.2.0 h1:x"), 1)
			})
		}, "go.sum says h1:x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newForgery(t)
			test.edit(t, f)
			f.refused(t, test.want)
		})
	}
}

// The toolchain of each platform has to be that of the record, not of the first alone.
func TestCheckFindsForgeryOfSecondPlatform(t *testing.T) {
	f := newForgeryAt(t, captured(t), 1)
	evil := testToolchain(t, t.TempDir(), "go1.26.8", linuxARM)
	zip := makeZip(t, zipFile{evil.Module.Path + "@" + evil.Module.Version + "/bin/go", "evil"})
	if err := os.WriteFile(evil.Module.Zip, zip, 0o644); err != nil {
		t.Fatal(err)
	}
	evil.Module.Size = int64(len(zip))
	src := toolchainSource(evil)
	r, err := src.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	proven, err := src.prove(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	f.replaceLayer(t, 0, data)
	f.manifest.Layers[0].Annotations[AnnotationSum], f.image.RootFS.DiffIDs[0] = proven.sum, proven.diffID
	f.write(t)
	if err := verifyAll(t.Context(), f.dir); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "not what the bundle's record says") {
		t.Errorf("verify: %v, want ErrMismatch", err)
	}
}

// refused holds that verify and unpack refuse the forgery, and that nothing is left of it.
func (f *forgery) refused(t *testing.T, want string) {
	t.Helper()
	f.write(t)
	err := verifyAll(t.Context(), f.dir)
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), want) {
		t.Errorf("verify: %v, want ErrMismatch with %q", err, want)
	}
	to := filepath.Join(t.TempDir(), "to")
	v, err := Verify(t.Context(), f.store, "v1", VerifyOptions{})
	if err == nil {
		_, err = Unpack(t.Context(), alone(v), to, UnpackOptions{Platform: linux})
	}
	if err == nil {
		t.Error("unpack took it")
	}
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unpack left %s: %v", to, err)
	}
}

// forgery is a bundle of which one platform is changed and gets right digests again.
type forgery struct {
	dir      string
	at       int // of the platform
	store    oci.Store
	manifest ocispec.Manifest
	image    ocispec.Image
	index    ocispec.Index
}

func newForgery(t *testing.T) *forgery {
	t.Helper()
	c := captured(t)
	c.Toolchains = c.Toolchains[:1]
	return newForgeryOf(t, c)
}

func newForgeryOf(t *testing.T, c *gomod.Captured) *forgery {
	t.Helper()
	return newForgeryAt(t, c, 0)
}

func newForgeryAt(t *testing.T, c *gomod.Captured, at int) *forgery {
	t.Helper()
	f := &forgery{dir: t.TempDir(), at: at}
	var desc ocispec.Descriptor
	f.store, desc = packTest(t, c, f.dir)
	f.open(t, desc)
	return f
}

// open reads the documents of the bundle.
func (f *forgery) open(t *testing.T, desc ocispec.Descriptor) {
	t.Helper()
	for _, step := range []struct {
		desc func() ocispec.Descriptor
		to   any
	}{
		{func() ocispec.Descriptor { return desc }, &f.index},
		{func() ocispec.Descriptor { return f.index.Manifests[f.at] }, &f.manifest},
		{func() ocispec.Descriptor { return f.manifest.Config }, &f.image},
	} {
		if _, err := oci.FetchDocument(t.Context(), f.store, step.desc(), step.to); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *forgery) push(t *testing.T, mediaType string, data []byte) ocispec.Descriptor {
	t.Helper()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if err := f.store.Push(t.Context(), desc, bytes.NewReader(data)); err != nil && !strings.Contains(err.Error(), "exists") {
		t.Fatal(err)
	}
	return desc
}

func (f *forgery) read(t *testing.T, desc ocispec.Descriptor) []byte {
	t.Helper()
	rc, err := f.store.Fetch(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// replaceLayer puts other bytes in place of a layer.
func (f *forgery) replaceLayer(t *testing.T, i int, data []byte) {
	t.Helper()
	desc := f.push(t, f.manifest.Layers[i].MediaType, data)
	desc.Annotations = f.manifest.Layers[i].Annotations
	f.manifest.Layers[i] = desc
	f.image.RootFS.DiffIDs[i] = desc.Digest
}

func (f *forgery) replaceModule(t *testing.T, i int, info, mod, zip []byte) {
	t.Helper()
	m, _ := layerModule(f.manifest.Layers[i])
	head, tail, err := moduleTar(m, info, mod, int64(len(zip)))
	if err != nil {
		t.Fatal(err)
	}
	f.replaceLayer(t, i, bytes.Join([][]byte{head, zip, tail}, nil))
}

func (f *forgery) zip(t *testing.T, i int) []byte {
	t.Helper()
	data := f.read(t, f.manifest.Layers[i])
	const endRecord = 22 // bytes, without a comment
	return data[bytes.Index(data, []byte("PK\x03\x04")) : bytes.LastIndex(data, []byte("PK\x05\x06"))+endRecord]
}

func (f *forgery) editGraph(t *testing.T, edit func(map[string][]byte)) {
	t.Helper()
	last := len(f.manifest.Layers) - 1
	files, err := readGraphTar(bytes.NewReader(f.read(t, f.manifest.Layers[last])), f.manifest.Layers[last].Size)
	if err != nil {
		t.Fatal(err)
	}
	edit(files)
	var b bytes.Buffer
	if err := writeGraph(&b, files); err != nil {
		t.Fatal(err)
	}
	f.replaceLayer(t, last, b.Bytes())
}

func (f *forgery) editRecord(t *testing.T, edit func(*Record)) {
	t.Helper()
	f.editGraph(t, func(files map[string][]byte) {
		r, err := parseRecord(files[recordName])
		if err != nil {
			t.Fatal(err)
		}
		edit(r)
		if files[recordName], err = r.encode(); err != nil {
			t.Fatal(err)
		}
	})
}

func (f *forgery) write(t *testing.T) {
	t.Helper()
	put := func(mediaType string, v any) ocispec.Descriptor {
		doc, err := encodeDocument(mediaType, v)
		if err != nil {
			t.Fatal(err)
		}
		return f.push(t, mediaType, doc.data)
	}
	f.manifest.Config = put(ocispec.MediaTypeImageConfig, f.image)
	m := put(ocispec.MediaTypeImageManifest, f.manifest)
	m.Platform = f.index.Manifests[f.at].Platform
	f.index.Manifests[f.at] = m
	if err := f.store.Tag(t.Context(), put(ocispec.MediaTypeImageIndex, f.index), "v1"); err != nil {
		t.Fatal(err)
	}
}

// FuzzReadModule gives a module layer's reader any bytes under their true digest. It may take
// them only in the one form that goferry writes.
func FuzzReadModule(f *testing.F) {
	m := testModule(f, f.TempDir(), "example.com/m", "v1.0.0")
	src, err := moduleSource(m)
	if err != nil {
		f.Fatal(err)
	}
	r, err := src.open(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	good, err := io.ReadAll(r)
	r.Close()
	if err != nil {
		f.Fatal(err)
	}
	proven, err := src.prove(f.Context(), bytes.NewReader(good))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good), 0))
	f.Add(good[:600])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		desc := ocispec.Descriptor{
			MediaType: mediaTypeTar, Digest: digest.FromBytes(data), Size: int64(len(data)),
			Annotations: map[string]string{AnnotationModule: "example.com/m@v1.0.0", AnnotationSum: proven.sum},
		}
		v := &Verified{store: bytesStore{data: data}, proofs: openProofs(""), report: func(Event) {}}
		var c moduleContent
		err := v.readModules(t.Context(), proofLayer{desc: desc}, func(_ proofLayer, b *blobReader) (err error) {
			c, err = b.module(t.Context(), nil)
			return err
		})
		if err != nil {
			return
		}
		if c.info == nil || !bytes.Contains(data, []byte(m.Mod)) {
			t.Errorf("a layer without .info or go.mod was taken: %q", data)
		}
	})
}

// bytesStore is a store that has one blob, whatever it is asked for.
type bytesStore struct {
	oci.Store
	data []byte
}

func (s bytesStore) Fetch(context.Context, ocispec.Descriptor) (io.ReadCloser, error) {
	return sectionCloser(bytes.NewReader(s.data), int64(len(s.data)), nil), nil
}

// What a run keeps in memory has a limit, however many modules a bundle has.
func TestHeldIsBounded(t *testing.T) {
	v := (Verified{}).during("verify")
	half := moduleContent{mod: make([]byte, maxHeld/2)}
	for range 2 {
		if err := v.hold(half); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.hold(moduleContent{info: []byte("{}")}); !errors.Is(err, ErrMismatch) {
		t.Errorf("one file more: %v, want ErrMismatch", err)
	}
	if err := v.during("unpack").hold(half); err != nil {
		t.Errorf("another run: %v", err)
	}
}
