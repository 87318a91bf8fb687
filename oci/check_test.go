package oci

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestCheck holds that every bit below the root counts, and nothing beside it.
func TestCheck(t *testing.T) {
	dir, root := signedBundle(t)
	s := mustOpen(t, dir)
	defer s.Close()
	all, err := Check(t.Context(), s, root, CopyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	below := walkDown(t, s, root)
	whole := mustDo(Walk(t.Context(), s, root))
	if want := len(below.Blobs) + len(below.Documents); all.Blobs != want || want == 0 || len(whole.Documents) <= len(below.Documents) {
		t.Errorf("Check = %+v, want %d blobs, which are not all of %d documents", all, want, len(whole.Documents))
	}
	inside := map[string]bool{}
	for _, n := range below.Documents {
		inside[n.Descriptor.Digest.Encoded()] = true
	}
	for _, b := range below.Blobs {
		inside[b.Digest.Encoded()] = true
	}
	entries := mustDo(os.ReadDir(filepath.Join(dir, blobDir)))
	for _, e := range entries {
		name := filepath.Join(dir, blobDir, e.Name())
		data := mustDo(os.ReadFile(name))
		for _, damage := range []func() error{
			func() error { return os.WriteFile(name, append([]byte{data[0] ^ 1}, data[1:]...), 0o644) },
			func() error { return os.WriteFile(name, data[:len(data)-1], 0o644) },
			func() error { return os.Remove(name) },
		} {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			_, err := Check(t.Context(), s, root, CopyOptions{})
			if inside[e.Name()] && !errors.Is(err, ErrDigest) && !errors.Is(err, ErrNotFound) || !inside[e.Name()] && err != nil {
				t.Errorf("blob %s changed: Check = %v", e.Name(), err)
			}
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func walkDown(t *testing.T, s Store, root ocispec.Descriptor) *Graph {
	t.Helper()
	w := &walker{src: s, sizes: map[digest.Digest]int64{}}
	if err := w.walk(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return &w.Graph
}

// TestCheckNamesAll holds that one damaged document or blob does not hide another.
func TestCheckNamesAll(t *testing.T) {
	dir := t.TempDir()
	s := mustCreate(t, dir)
	root := pushBundle(t, s, "linux/amd64", "linux/arm64")
	mustTag(t, s, root, "v1")
	below := walkDown(t, s, root)
	mustClose(t, s)
	manifest, layer := below.Documents[0].Descriptor, below.Blobs[len(below.Blobs)-1]
	for _, desc := range []ocispec.Descriptor{manifest, layer} {
		if err := os.Truncate(filepath.Join(dir, blobPath(desc.Digest)), 1); err != nil {
			t.Fatal(err)
		}
	}
	missing := below.Blobs[len(below.Blobs)-2]
	if err := os.Remove(filepath.Join(dir, blobPath(missing.Digest))); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	all, err := Check(t.Context(), s, root, CopyOptions{})
	if !errors.Is(err, ErrDigest) || !errors.Is(err, ErrNotFound) || len(all.Damaged) != 3 {
		t.Fatalf("Check = %+v, %v; want three that are damaged", all, err)
	}
	for i, want := range []ocispec.Descriptor{manifest, missing, layer} {
		if got := all.Damaged[i].Descriptor.Digest; got != want.Digest {
			t.Errorf("damaged %d is %s, want %s", i, got, want.Digest)
		}
	}
	if all.Damaged[0].Descriptor.Platform == nil {
		t.Errorf("the manifest's platform is not said: %+v", all.Damaged[0])
	}
}
