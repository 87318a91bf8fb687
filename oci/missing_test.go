package oci

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// baseAndDelta are a place with the tag v1, and a layout with all documents of v2 and only those blobs of it that v1
// has not.
func baseAndDelta(t *testing.T) (base Store, delta *layout, v2 ocispec.Descriptor) {
	t.Helper()
	base, all := mustCreate(t, t.TempDir()), mustCreate(t, t.TempDir())
	t.Cleanup(func() { base.Close(); all.Close() })
	mustTag(t, base, pushModules(t, base, moduleNames(0, 10)...), "v1")
	v2 = pushModules(t, all, moduleNames(2, 12)...)
	mustTag(t, all, v2, "v2")
	for _, desc := range mustDo(Walk(t.Context(), all, v2)).Blobs {
		if mustDo(base.Exists(t.Context(), desc)) {
			mustRemove(t, filepath.Join(all.(*layout).dir, blobPath(desc.Digest)))
		}
	}
	return base, mustOpen(t, all.(*layout).dir).(*layout), v2
}

func mustRemove(t testing.TB, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

// mustBeWhole fails unless all below desc is in s.
func mustBeWhole(t testing.TB, s Store, desc ocispec.Descriptor) {
	t.Helper()
	if _, err := Check(t.Context(), s, desc, CopyOptions{}); err != nil {
		t.Error(err)
	}
}

func TestCopyOfWhatTheDestinationHas(t *testing.T) {
	base, delta, v2 := baseAndDelta(t)
	if lacking := Lacking(delta, mustDo(Walk(t.Context(), delta, v2)).Blobs); len(lacking) != 8 {
		t.Errorf("the source lacks %d blobs, want 8", len(lacking))
	}
	if _, err := Copy(t.Context(), delta, "v2", base, "v2", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, mustOpen(t, base.(*layout).dir), v2)

	base, delta, v2 = baseAndDelta(t)
	ref, opts := startRegistry(t, true, nil)
	registry := mustDo(Create(t.Context(), ref, opts))
	mustDo(Copy(t.Context(), base, "v1", registry, "v1", CopyOptions{}))
	if _, err := Copy(t.Context(), delta, "v2", registry, "v2", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	mustBeWhole(t, registry, v2)
}

// TestCopyOfMissingBlobs holds that nothing is written where something is missing in the end.
func TestCopyOfMissingBlobs(t *testing.T) {
	ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet && r.Method != http.MethodHead {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			next.ServeHTTP(w, r)
		})
	})
	dir := t.TempDir()
	for name, ref := range map[string]Reference{
		"new directory": {Transport: TransportLayout, Path: filepath.Join(dir, "a", "b", "c")},
		"archive":       {Transport: TransportArchive, Path: filepath.Join(dir, "a.tar")},
		"registry":      ref,
	} {
		t.Run(name, func(t *testing.T) {
			_, delta, _ := baseAndDelta(t)
			dst := mustDo(Create(t.Context(), ref, opts))
			_, err := Copy(t.Context(), delta, "v2", dst, "v2", CopyOptions{})
			var missing *MissingError
			if !errors.As(err, &missing) || len(missing.Blobs) != 8 || !errors.Is(err, ErrNotFound) {
				t.Errorf("Copy() = %v, want 8 missing blobs", err)
			}
			mustClose(t, dst)
			if left := mustDo(fs.Glob(os.DirFS(dir), "*")); len(left) > 0 {
				t.Errorf("there is %q", left)
			}
		})
	}
}

func TestCopyBelievesNoDamagedBase(t *testing.T) {
	base, delta, v2 := baseAndDelta(t)
	l := base.(*layout)
	damaged := Lacking(delta, mustDo(Walk(t.Context(), delta, v2)).Blobs)[3]
	if err := os.WriteFile(filepath.Join(l.dir, blobPath(damaged.Digest)), make([]byte, damaged.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	mustClose(t, base)
	blobs := filepath.Join(l.dir, "blobs")
	before := tree(t, blobs)
	dst := mustCreate(t, l.dir)
	_, err := Copy(t.Context(), delta, "v2", dst, "v2", CopyOptions{})
	mustClose(t, dst)
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Blobs) != 1 || missing.Blobs[0].Digest != damaged.Digest {
		t.Errorf("Copy() = %v, want %s to be missing", err, damaged.Digest)
	}
	if after := tree(t, blobs); after != before {
		t.Errorf("the blobs were %s\nand are %s", before, after)
	}
	if tags := mustDo(os.ReadFile(filepath.Join(l.dir, indexFile))); bytes.Contains(tags, []byte("v2")) {
		t.Errorf("index.json is %s", tags)
	}
}

// TestWholeSourceAsksNothingMore holds that a source which has all costs no request of its own.
func TestWholeSourceAsksNothingMore(t *testing.T) {
	base, _, _ := baseAndDelta(t)
	var heads atomic.Int64
	ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				heads.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	mustDo(Copy(t.Context(), base, "v1", mustDo(Create(t.Context(), ref, opts)), "v1", CopyOptions{}))
	if n := heads.Load(); n > concurrency {
		t.Errorf("%d blobs were asked for, which are the source's own", n)
	}
	pulled := mustDo(Open(t.Context(), ref, opts))
	if lacking := Lacking(pulled, []ocispec.Descriptor{ocispec.DescriptorEmptyJSON}); len(lacking) > 0 {
		t.Errorf("a registry lacks %v before it is asked", lacking)
	}
}

func TestGraphKeepsNamesOfBlobs(t *testing.T) {
	s := mustCreate(t, t.TempDir())
	defer s.Close()
	layer, _ := pushLayer(t, s, "named")
	layer.Annotations = map[string]string{"name": "it"}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: layer, Layers: []ocispec.Descriptor{layer}}
	m.SchemaVersion = 2
	g := mustDo(Walk(t.Context(), s, pushJSON(t, s, ocispec.MediaTypeImageManifest, m)))
	if !slices.ContainsFunc(g.Blobs, func(d ocispec.Descriptor) bool { return d.Annotations["name"] == "it" }) {
		t.Errorf("Walk() = %v", g.Blobs)
	}
}
