package oci

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
	below := mustDo(walkDown(t.Context(), s, root))
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
