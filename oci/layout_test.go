package oci

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

func TestLayoutIsReadByOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "layout")
	s := mustCreate(t, dir)
	root := pushBundle(t, s, "linux/amd64", "windows/arm64")
	if err := s.Tag(t.Context(), root, "v1"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)

	ix, err := ggcr.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(ix); err != nil {
		t.Error(err)
	}
	manifest, err := ix.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(manifest.Manifests); n != 1 || manifest.Manifests[0].Annotations[ocispec.AnnotationRefName] != "v1" {
		t.Errorf("index.json has %v, want one entry tagged v1", manifest.Manifests)
	}
	if extra, _ := filepath.Glob(filepath.Join(dir, ".*")); len(extra) > 0 {
		t.Errorf("Close leaves %v", extra)
	}
}

func TestLayoutIngest(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	defer s.Close()
	w, err := s.(Ingester).Ingest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "hello, ")
	io.WriteString(w, "world")
	back := make([]byte, 5)
	if _, err := w.ReadAt(back, 7); err != nil || string(back) != "world" {
		t.Errorf("ReadAt = %q, %v", back, err)
	}
	desc, err := w.Commit("text/plain")
	if err != nil {
		t.Fatal(err)
	}
	w.Discard()
	want := content.NewDescriptorFromBytes("text/plain", []byte("hello, world"))
	if !content.Equal(desc, want) {
		t.Errorf("Commit = %v, want %v", desc, want)
	}
	if got := fetchAll(t, s, desc); string(got) != "hello, world" {
		t.Errorf("Fetch = %q", got)
	}
}

func TestLayoutDamagedBlobIsReplaced(t *testing.T) {
	blob := []byte("a blob that was whole once")
	desc := content.NewDescriptorFromBytes("text/plain", blob)
	for name, damage := range map[string]func(path string) error{
		"cut":       func(p string) error { return os.Truncate(p, 3) },
		"flipped":   func(p string) error { return os.WriteFile(p, bytes.ToUpper(blob), 0o644) },
		"longer":    func(p string) error { return os.WriteFile(p, append(blob, 'x'), 0o644) },
		"empty":     func(p string) error { return os.Truncate(p, 0) },
		"missing":   os.Remove,
		"symlink":   func(p string) error { os.Remove(p); return os.Symlink("/dev/zero", p) },
		"fifo":      func(p string) error { os.Remove(p); return mkfifo(p) },
		"hard link": func(p string) error { return os.Link(p, p+"-2") }, // no damage
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustCreate(t, dir)
			mustPush(t, s, desc, blob)
			mustTag(t, s, desc, string(desc.Digest))
			mustClose(t, s)
			path := filepath.Join(dir, blobPath(desc.Digest))
			if err := damage(path); err != nil {
				t.Fatal(err)
			}

			s = mustOpen(t, dir)
			defer s.Close()
			ok, err := s.Exists(t.Context(), desc)
			if want := name == "hard link"; ok != want || err != nil {
				t.Errorf("Exists = %v, %v, want %v", ok, err, want)
			}
			mustPush(t, s, desc, blob)
			if got := fetchAll(t, s, desc); !bytes.Equal(got, blob) {
				t.Errorf("after Push, Fetch = %q", got)
			}
		})
	}
}

func TestLayoutPushVerifies(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	defer s.Close()
	desc := content.NewDescriptorFromBytes("text/plain", []byte("right"))
	for _, wrong := range []string{"wrong", "righ", "right!", ""} {
		if err := s.Push(t.Context(), desc, strings.NewReader(wrong)); !errors.Is(err, ErrDigest) {
			t.Errorf("Push of %q = %v, want ErrDigest", wrong, err)
		}
	}
	if ok, _ := s.Exists(t.Context(), desc); ok {
		t.Error("a blob that did not match is there")
	}
}

func TestOpenRefuses(t *testing.T) {
	empty, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, []byte("x"), 0o644)
	fifo := t.TempDir()
	os.WriteFile(filepath.Join(fifo, layoutFile), []byte(layoutVersion), 0o644)
	mkfifo(filepath.Join(fifo, indexFile))
	later := t.TempDir()
	os.WriteFile(filepath.Join(later, layoutFile), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o644)
	for _, tt := range []struct {
		dir  string
		want error
	}{
		{filepath.Join(empty, "none"), ErrNotFound},
		{empty, ErrNotLayout},
		{file, ErrNotLayout},
		{fifo, ErrDigest},
		{later, ErrNotLayout},
	} {
		if _, err := Open(t.Context(), Reference{Transport: TransportLayout, Path: tt.dir}, Options{}); !errors.Is(err, tt.want) {
			t.Errorf("Open(%s) = %v, want %v", tt.dir, err, tt.want)
		}
	}
}

func TestCreateRefusesForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "go.mod"), nil, 0o644)
	if _, err := Create(t.Context(), Reference{Transport: TransportLayout, Path: dir}, Options{}); !errors.Is(err, ErrNotLayout) {
		t.Errorf("Create = %v, want ErrNotLayout", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("Create left %v", files)
	}
}

func TestCloseWithoutTagLeavesNothing(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "layout")
	s := mustCreate(t, dir)
	mustPush(t, s, content.NewDescriptorFromBytes("text/plain", []byte("x")), []byte("x"))
	mustClose(t, s)
	if files, _ := os.ReadDir(parent); len(files) != 0 {
		t.Errorf("Close left %v", files)
	}
}

func TestNextWriterSweeps(t *testing.T) {
	dir := t.TempDir()
	alive := mustCreate(t, dir)
	defer alive.Close()
	staging := func(name string, files ...string) string {
		path := filepath.Join(dir, stagingPrefix+name)
		os.Mkdir(path, 0o755)
		for _, f := range files {
			os.WriteFile(filepath.Join(path, f), []byte("x"), 0o644)
		}
		return path
	}
	dead := staging(rand.Text(), "lock", "1", "17")
	kept := []string{
		staging(rand.Text(), "1"),                 // no lock: not ours
		staging(rand.Text(), "lock", "1", "a.go"), // a file that is not ours
		staging("theirs", "lock"),                 // not our name
	}
	early := staging(rand.Text())
	os.Mkdir(filepath.Join(staging(rand.Text(), "lock"), "2"), 0o755)

	s := mustOpen(t, dir)
	desc := content.NewDescriptorFromBytes("text/plain", []byte("x"))
	mustPush(t, s, desc, []byte("x"))
	defer s.Close()
	left, _ := filepath.Glob(filepath.Join(dir, stagingPrefix+"*"))
	if len(left) != 2+len(kept)+1 || slices.Contains(left, dead) || slices.Contains(left, early) {
		t.Errorf("staging directories are %v, want those of the two live stores and %v", left, kept)
	}
	for _, path := range kept {
		if !slices.Contains(left, path) {
			t.Errorf("%s is gone", path)
		}
	}
	if _, err := os.Stat(filepath.Join(kept[1], "lock")); err != nil {
		t.Errorf("half of a directory is gone: %v", err)
	}
}

// TestBlobsInTheWay has something else in the place of what a layout is made of.
func TestBlobsInTheWay(t *testing.T) {
	blob := []byte("a blob")
	desc := content.NewDescriptorFromBytes("text/plain", blob)
	for name, tt := range map[string]struct {
		damage   func(dir string) error
		mendable bool
	}{
		"an empty directory in place of a blob": {func(dir string) error { return os.Mkdir(filepath.Join(dir, blobPath(desc.Digest)), 0o755) }, true},
		"a directory in place of a blob":        {func(dir string) error { return os.MkdirAll(filepath.Join(dir, blobPath(desc.Digest), "x"), 0o755) }, false},
		"blobs is a symlink out of the layout": {func(dir string) error {
			return replaceBlobs(dir, func(p string) error { return os.Symlink(t.TempDir(), p) })
		}, false},
		"blobs is a file": {func(dir string) error {
			return replaceBlobs(dir, func(p string) error { return os.WriteFile(p, nil, 0o644) })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mustClose(t, mustTagged(t, dir))
			if err := tt.damage(dir); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, dir)
			defer s.Close()
			if _, err := s.Fetch(t.Context(), desc); !errors.Is(err, ErrDigest) {
				t.Errorf("Fetch = %v, want ErrDigest", err)
			}
			if ok, err := s.Exists(t.Context(), desc); ok || err != nil {
				t.Errorf("Exists = %v, %v, want false", ok, err)
			}
			err := s.Push(t.Context(), desc, bytes.NewReader(blob))
			if tt.mendable && err != nil || !tt.mendable && (!errors.Is(err, ErrDigest) || !strings.Contains(err.Error(), dir)) {
				t.Errorf("Push = %v, want it to mend: %v, else ErrDigest with the layout", err, tt.mendable)
			}
		})
	}
}

func mustTagged(t *testing.T, dir string) Store {
	s := mustCreate(t, dir)
	mustTag(t, s, pushBundle(t, s, "linux/amd64"), "v1")
	return s
}

func replaceBlobs(dir string, put func(path string) error) error {
	path := filepath.Join(dir, "blobs")
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return put(path)
}

func TestReadOnlyLayoutIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	root := pushBundle(t, s, "linux/amd64")
	mustTag(t, s, root, "v1")
	mustClose(t, s)
	before := tree(t, dir)

	s = mustOpen(t, dir)
	if _, err := s.Resolve(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
	if ok, err := s.Exists(t.Context(), root); !ok || err != nil {
		t.Errorf("Exists = %v, %v", ok, err)
	}
	if _, err := s.Predecessors(t.Context(), root); err != nil {
		t.Error(err)
	}
	mustClose(t, s)
	if after := tree(t, dir); after != before {
		t.Errorf("reading changed the layout from\n%s\nto\n%s", before, after)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	defer s.Close()
	missing := digest.FromString("missing")
	if _, err := s.Resolve(t.Context(), string(missing)); !errors.Is(err, ErrNotFound) || err.Error() != fmt.Sprintf("blob %s is not in %s", missing, dir) {
		t.Errorf("Resolve of a digest = %v, want ErrNotFound", err)
	}
	if _, err := s.Resolve(t.Context(), ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("Resolve of nothing = %v, want ErrNotFound", err)
	}
	root := pushBundle(t, s, "linux/amd64")
	mustTag(t, s, root, "v1")
	child := manifestsOf(t, s, root)[0]
	for _, target := range []string{"v1", "", string(root.Digest)} {
		if got, err := s.Resolve(t.Context(), target); err != nil || !content.Equal(got, root) {
			t.Errorf("Resolve(%q) = %v, %v, want %v", target, got, err, root)
		}
	}
	if got, err := s.Resolve(t.Context(), string(child.Digest)); err != nil || !content.Equal(got, bare(child)) {
		t.Errorf("Resolve(child) = %v, %v, want %v", got, err, child)
	}
	_, err := s.Resolve(t.Context(), "v2")
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "v1") {
		t.Errorf("Resolve(v2) = %v, want ErrNotFound that names v1", err)
	}
	other := pushBundle(t, s, "linux/arm64")
	mustTag(t, s, other, "v0")
	if _, err := s.Resolve(t.Context(), ""); !errors.Is(err, ErrUsage) {
		t.Errorf("Resolve of one of two = %v, want ErrUsage", err)
	}
	var tags []string
	for tag, err := range s.Tags(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	if !slices.Equal(tags, []string{"v0", "v1"}) {
		t.Errorf("Tags = %v", tags)
	}
}

func TestReferrersInLayout(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	root := pushBundle(t, s, "linux/amd64")
	first := pushReferrer(t, s, root, "one")
	second := pushReferrer(t, s, root, "two")
	mustTag(t, s, root, "v1")
	mustClose(t, s)

	// Without the entries of their own they are found by the fallback tag, and the other way round.
	for _, drop := range []func(ocispec.Descriptor) bool{
		func(ocispec.Descriptor) bool { return false },
		func(e ocispec.Descriptor) bool { return tagOf(e) == "" },
		func(e ocispec.Descriptor) bool { return tagOf(e) == fallbackTag(root.Digest) },
	} {
		editIndex(t, dir, drop)
		s = mustOpen(t, dir)
		got, err := s.Predecessors(t.Context(), root)
		want := sortDescriptors([]ocispec.Descriptor{first, second})
		if err != nil || len(got) != 2 || !content.Equal(bare(got[0]), bare(want[0])) || !content.Equal(bare(got[1]), bare(want[1])) {
			t.Errorf("Predecessors = %v, %v, want %v", got, err, want)
		}
		mustTag(t, s, root, "again") // does not bring the dropped entries back, nor lose the others
		mustClose(t, s)
		if drop(ocispec.Descriptor{}) {
			pushAgain(t, dir, root, first, second)
		}
	}
}

func TestIndexKeepsForeignEntries(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	root := pushBundle(t, s, "linux/amd64")
	mustTag(t, s, root, "v1")
	mustClose(t, s)
	var ix ocispec.Index
	data, _ := os.ReadFile(filepath.Join(dir, indexFile))
	json.Unmarshal(data, &ix)
	ix.Annotations = map[string]string{"theirs": "kept"}
	ix.Manifests[0].Annotations["theirs"] = "kept"
	ix.Manifests = append(ix.Manifests, ocispec.Descriptor{MediaType: "application/x", Digest: digest.FromString("foreign"), Size: 7})
	data, _ = json.Marshal(ix)
	os.WriteFile(filepath.Join(dir, indexFile), data, 0o644)

	s = mustOpen(t, dir)
	mustTag(t, s, root, "v1")
	mustTag(t, s, root, "v2")
	mustClose(t, s)
	data, _ = os.ReadFile(filepath.Join(dir, indexFile))
	json.Unmarshal(data, &ix)
	if len(ix.Manifests) != 3 || strings.Count(string(data), `"theirs":"kept"`) != 2 {
		t.Errorf("index.json has lost something: %s", data)
	}
}

func TestIndexIsWrittenOnlyIfItCanBeRead(t *testing.T) {
	ix := newIndex()
	for i := range maxValues/7 + 1 {
		ix.Manifests = append(ix.Manifests, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("x"), Size: 7,
			Annotations: map[string]string{ocispec.AnnotationRefName: fmt.Sprint("v", i), annotationKind: "x"},
		})
	}
	if _, err := ix.bytes(); err == nil {
		t.Errorf("bytes of %d entries is no error", len(ix.Manifests))
	}
	ix.Manifests = ix.Manifests[:len(ix.Manifests)-2]
	if _, err := ix.bytes(); err != nil {
		t.Errorf("bytes of %d entries: %v", len(ix.Manifests), err)
	}
}

// editIndex drops entries from index.json.
func editIndex(t *testing.T, dir string, drop func(ocispec.Descriptor) bool) {
	t.Helper()
	path := filepath.Join(dir, indexFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := parseIndex(data)
	if err != nil {
		t.Fatal(err)
	}
	ix.Manifests = slices.DeleteFunc(ix.Manifests, drop)
	if data, err = ix.bytes(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func pushAgain(t *testing.T, dir string, root ocispec.Descriptor, referrers ...ocispec.Descriptor) {
	t.Helper()
	s := mustOpen(t, dir)
	for _, r := range referrers {
		mustPush(t, s, r, fetchAll(t, s, r))
	}
	mustTag(t, s, root, "v1")
	mustClose(t, s)
}

// tree is every file of dir with its mode, size and time.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestCosignSaved holds that signatures are found which "cosign save" lists by their kind alone.
func TestCosignSaved(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	root := pushBundle(t, s, "linux/amd64")
	sig := pushBundle(t, s, "plan9/386") // any manifest will do
	mustTag(t, s, root, "v1")
	mustTag(t, s, sig, SignatureTag(root.Digest))
	mustClose(t, s)
	ix := mustDo(parseIndex(mustDo(os.ReadFile(filepath.Join(dir, indexFile)))))
	for _, e := range ix.Manifests {
		delete(e.Annotations, "org.opencontainers.image.ref.name")
	}
	data := mustDo(json.Marshal(ix.Index))
	if err := os.WriteFile(filepath.Join(dir, indexFile), data, 0o644); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	if got, err := s.Resolve(t.Context(), ""); err != nil || got.Digest != root.Digest {
		t.Errorf("Resolve = %v, %v, want the one image", got, err)
	}
	if got, err := Find(t.Context(), s, SignatureTag(root.Digest)); err != nil || got.Digest != sig.Digest {
		t.Errorf("Find = %v, %v, want its signatures", got, err)
	}
}
