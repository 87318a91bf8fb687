package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// newGroupForgery is a bundle of a toolchain, a group of four modules, one module alone and the graph.
func newGroupForgery(t *testing.T) *forgery {
	t.Helper()
	f := &forgery{dir: t.TempDir()}
	f.store = layout(t, f.dir)
	f.open(t, packBudget(t, f.store, capturedMany(t, 5), 4, "").Descriptor)
	if layerKind(f.manifest.Layers[f.group()]) != kindGroup || len(f.modules()) != 4 {
		t.Fatalf("layers %v", f.manifest.Layers)
	}
	return f
}

// group is where the group is among the layers.
func (f *forgery) group() int {
	return slices.IndexFunc(f.manifest.Layers, func(l ocispec.Descriptor) bool { return l.Annotations[AnnotationGroup] != "" })
}

func (f *forgery) modules() []ocispec.Descriptor { return Members(f.manifest.Layers[f.group()]) }

// parts returns the bytes of each module in the group.
func (f *forgery) parts(t *testing.T) (parts [][]byte) {
	t.Helper()
	data := f.read(t, f.manifest.Layers[f.group()])
	for _, m := range f.modules() {
		parts = append(parts, data[:m.Size-tarEnd])
		data = data[m.Size-tarEnd:]
	}
	return parts
}

// replaceGroup puts other bytes in place of the group.
func (f *forgery) replaceGroup(t *testing.T, parts ...[]byte) {
	t.Helper()
	f.replaceLayer(t, f.group(), append(bytes.Join(parts, nil), make([]byte, tarEnd)...))
}

// list lets the group say that it has these modules.
func (f *forgery) list(modules ...ocispec.Descriptor) {
	f.manifest.Layers[f.group()].Annotations[AnnotationGroup] = groupAnnotation(modules)
}

// editLine changes what the group says of its second module.
func (f *forgery) editLine(old, new string) {
	a := f.manifest.Layers[f.group()].Annotations
	lines := strings.Split(a[AnnotationGroup], "\n")
	lines[1] = strings.Replace(lines[1], old, new, 1)
	a[AnnotationGroup] = strings.Join(lines, "\n")
}

// evilPart is the second module of the group with another zip, and its own layer's digest.
func (f *forgery) evilPart(t *testing.T) ([]byte, digest.Digest) {
	t.Helper()
	m, _ := layerModule(f.modules()[1])
	zip := makeZip(t, zipFile{m.String() + "/go.mod", "module evil\n"})
	head, tail, err := moduleTar(m, []byte(`{"Version":"`+m.Version+`"}`), []byte("module "+m.Path+"\n"), int64(len(zip)))
	if err != nil {
		t.Fatal(err)
	}
	own := bytes.Join([][]byte{head, zip, tail}, nil)
	return own[:len(own)-tarEnd], digest.FromBytes(own)
}

// Whoever recomputes the digests up to the index is found all the same.
func TestCheckFindsForgedGroup(t *testing.T) {
	for _, test := range []struct {
		name string
		edit func(t *testing.T, f *forgery)
		want string
	}{
		{"two parts swapped", func(t *testing.T, f *forgery) {
			p := f.parts(t)
			f.replaceGroup(t, p[1], p[0], p[2], p[3])
		}, "its part of blob"},
		{"another zip", func(t *testing.T, f *forgery) {
			p := f.parts(t)
			evil, _ := f.evilPart(t)
			modules := f.modules()
			modules[1].Size = int64(len(evil)) + tarEnd
			f.replaceGroup(t, p[0], evil, p[2], p[3])
			f.list(modules...)
		}, "its part of blob"},
		{"another zip under the same sum", func(t *testing.T, f *forgery) {
			p := f.parts(t)
			evil, d := f.evilPart(t)
			modules := f.modules()
			modules[1].Size, modules[1].Digest = int64(len(evil))+tarEnd, d
			f.replaceGroup(t, p[0], evil, p[2], p[3])
			f.list(modules...)
		}, "the zip has the sum"},
		{"another sum", func(_ *testing.T, f *forgery) { f.editLine("h1:", "h1:A") }, "not what the bundle's record says"},
		{"another digest", func(_ *testing.T, f *forgery) {
			f.editLine(f.modules()[1].Digest.Encoded(), strings.Repeat("0", 64))
		}, "its part of blob"},
		{"the digest of another", func(_ *testing.T, f *forgery) {
			f.editLine(f.modules()[1].Digest.Encoded(), f.modules()[2].Digest.Encoded())
		}, "is both"},
		{"out of the checksum database", func(_ *testing.T, f *forgery) {
			modules := f.modules()
			delete(modules[1].Annotations, AnnotationSumDB)
			f.list(modules...)
		}, "not what the bundle's record says"},
		{"another border between two", func(_ *testing.T, f *forgery) {
			modules := f.modules()
			modules[0].Size += tarBlock
			modules[1].Size -= tarBlock
			f.list(modules...)
		}, "its part of blob"},
		{"one twice", func(t *testing.T, f *forgery) {
			p, modules := f.parts(t), f.modules()
			f.replaceGroup(t, p[0], p[0], p[1], p[2], p[3])
			f.list(slices.Insert(modules, 0, modules[0])...)
		}, "stands where it does not belong"},
		{"not sorted", func(t *testing.T, f *forgery) {
			p, m := f.parts(t), f.modules()
			f.replaceGroup(t, p[1], p[0], p[2], p[3])
			f.list(m[1], m[0], m[2], m[3])
		}, "stands where it does not belong"},
		{"one that is there alone, too", func(t *testing.T, f *forgery) {
			extra := f.push(t, mediaTypeTar, slices.Concat(f.parts(t)[0], make([]byte, tarEnd)))
			extra.Annotations = f.modules()[0].Annotations
			at := f.group() + 1
			f.manifest.Layers = slices.Insert(f.manifest.Layers, at, extra)
			f.image.RootFS.DiffIDs = slices.Insert(f.image.RootFS.DiffIDs, at, extra.Digest)
		}, "stands twice"},
		{"one too few", func(t *testing.T, f *forgery) {
			modules := f.modules()
			f.replaceGroup(t, f.parts(t)[:3]...)
			f.list(modules[:3]...)
		}, "has 4 modules, the bundle's record 5"},
		{"one that is not listed", func(_ *testing.T, f *forgery) { f.list(f.modules()[:3]...) }, "has not the"},
		{"one that is not there", func(t *testing.T, f *forgery) { f.replaceGroup(t, f.parts(t)[:3]...) }, "has not the"},
		{"bytes behind the end", func(t *testing.T, f *forgery) {
			f.replaceGroup(t, append(f.parts(t), make([]byte, tarBlock))...)
		}, "has not the"},
		{"bytes in the end", func(t *testing.T, f *forgery) {
			data := f.read(t, f.manifest.Layers[f.group()])
			data[len(data)-1] = 1
			f.replaceLayer(t, f.group(), data)
		}, "something behind the last module"},
		{"a group of one", func(t *testing.T, f *forgery) {
			modules := f.modules()
			f.replaceGroup(t, f.parts(t)[0])
			f.list(modules[0])
		}, "not in the form"},
		{"a group that is also a module", func(_ *testing.T, f *forgery) {
			f.manifest.Layers[f.group()].Annotations[AnnotationModule] = "example.com/x@v1.0.0"
		}, "has the annotation"},
		{"a toolchain in it", func(_ *testing.T, f *forgery) {
			name := f.modules()[1].Annotations[AnnotationModule]
			f.editLine(name, "golang.org/toolchain@v0.0.1-go1.22.12.linux-amd64")
		}, "is no module"},
		{"a size with a sign", func(_ *testing.T, f *forgery) {
			f.editLine(" "+strconv.FormatInt(f.modules()[1].Size, 10), " +"+strconv.FormatInt(f.modules()[1].Size, 10))
		}, "not in the form"},
		{"compressed", func(_ *testing.T, f *forgery) { f.manifest.Layers[f.group()].MediaType = mediaTypeTarGzip }, "not in the form"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newGroupForgery(t)
			test.edit(t, f)
			f.refused(t, test.want)
		})
	}
}

// A proof of the module that a group pretends to have is no proof of what it has.
func TestForgedGroupIsNotRemembered(t *testing.T) {
	f, cache := newGroupForgery(t), t.TempDir()
	v, err := Verify(t.Context(), f.store, "v1", VerifyOptions{CacheDir: cache})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, modules := f.parts(t), f.modules()
	evil, _ := f.evilPart(t)
	modules[1].Size = int64(len(evil)) + tarEnd
	f.replaceGroup(t, p[0], evil, p[2], p[3])
	f.list(modules...)
	f.write(t)
	if v, err = Verify(t.Context(), f.store, "v1", VerifyOptions{CacheDir: cache}); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Check(t.Context()); !errors.Is(err, ErrMismatch) {
		t.Errorf("Check = %v, want ErrMismatch", err)
	}
}

// Damage is told of the modules that it hits, and of no others.
func TestCheckNamesModulesOfGroup(t *testing.T) {
	f := newGroupForgery(t)
	group := f.manifest.Layers[f.group()]
	file := filepath.Join(f.dir, "blobs", "sha256", group.Digest.Encoded())
	whole := f.read(t, group)
	names := grouped(group)
	border := len(f.parts(t)[0])
	for _, test := range []struct {
		name   string
		damage func(data []byte) []byte
		want   []string
	}{
		{"a byte of the first", func(data []byte) []byte { data[600] ^= 1; return data }, names[:1]},
		{"a byte of the second", func(data []byte) []byte { data[border+600] ^= 1; return data }, names[1:2]},
		{"a byte of both", func(data []byte) []byte { data[border-600] ^= 1; data[border] ^= 1; return data }, names[:2]},
		{"cut in the second", func(data []byte) []byte { return data[:border+10] }, []string{layerName(group)}},
		{"a byte of the end", func(data []byte) []byte { data[len(data)-1] ^= 1; return data }, []string{layerName(group)}},
		{"a byte more", func(data []byte) []byte { return append(data, 0) }, []string{layerName(group)}},
	} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, test.damage(bytes.Clone(whole)), 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := verifyTest(t, f.store).Check(t.Context())
		if !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: Check = %v, want ErrMismatch", test.name, err)
			continue
		}
		var got []string
		for _, p := range report.Problems {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: problems of %q, want %q: %v", test.name, got, test.want, err)
		}
	}
}

// FuzzParseGroup gives a group any list. What is taken is what Pack writes, and fills the layer.
func FuzzParseGroup(f *testing.F) {
	line := func(name string, size string) string {
		return name + " h1:AAAA= " + size + " " + digest.FromString(name).String()
	}
	a, b := line("example.com/a@v1.0.0", "2048"), line("example.com/b@v1.0.0", "2560")
	for _, text := range []string{
		a + "\n" + b, b + "\n" + a, a, a + "\n" + a, a + "\n" + b + "\n", a + " none\n" + b, a + " NONE\n" + b, "", "\n",
		a + "\n" + line("example.com/b@v1.0.0", "02560"), a + "\n" + line("example.com/b@v1.0.0", "9223372036854775296"),
		a + "\n" + line("golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64", "2560"), a + "\n" + line("../b@v1.0.0", "2560"),
	} {
		f.Add(text, int64(3584))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		desc := ocispec.Descriptor{MediaType: mediaTypeTar, Size: size, Annotations: map[string]string{AnnotationGroup: text}}
		list, err := parseGroup(desc)
		if err != nil {
			return
		}
		if groupAnnotation(list) != text || len(list) < 2 {
			t.Errorf("%q is taken as %d modules: %q", text, len(list), groupAnnotation(list))
		}
		sum, seen := int64(tarEnd), make(map[string]bool)
		for _, m := range (proofLayer{desc: desc}).members() {
			if m.offset != sum-tarEnd || seen[layerName(m.desc)] {
				t.Errorf("%q: %s stands at %d", text, layerName(m.desc), m.offset)
			}
			seen[layerName(m.desc)] = true
			sum += m.desc.Size - tarEnd
		}
		if sum != size {
			t.Errorf("%q has %d bytes, the layer %d", text, sum, size)
		}
	})
}
