package oci

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A watched store tells what was fetched of it.
type watched struct {
	Store
	mu      sync.Mutex
	fetched []digest.Digest
	instead func(ocispec.Descriptor) io.Reader // nil: what the store has
}

func (w *watched) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetched = append(w.fetched, desc.Digest)
	if w.instead != nil {
		return io.NopCloser(w.instead(desc)), nil
	}
	return w.Store.Fetch(ctx, desc)
}

// damages are the ways in which the file of a blob can be wrong.
var damages = map[string]func(name string) error{
	"flipped": func(name string) error {
		data, err := os.ReadFile(name)
		if err == nil {
			data[len(data)/2] ^= 1
			err = os.WriteFile(name, data, 0o644)
		}
		return err
	},
	"cut":     func(name string) error { return os.Truncate(name, 1) },
	"missing": os.Remove,
	"a directory": func(name string) error {
		return errors.Join(os.Remove(name), os.Mkdir(name, 0o755))
	},
	"a link": func(name string) error {
		return errors.Join(os.Rename(name, name+"-"), os.Symlink(filepath.Base(name)+"-", name))
	},
}

// TestRepair damages each blob of a layout in each way, and holds that just that one is fetched, and that the tree is then
// what it was.
func TestRepair(t *testing.T) {
	good, _ := signedBundle(t)
	dir := cloneLayout(t, good)
	want := contents(t, dir)
	for _, e := range mustDo(os.ReadDir(filepath.Join(dir, blobDir))) {
		for name, damage := range damages {
			file := filepath.Join(dir, blobDir, e.Name())
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			src, dst := &watched{Store: mustOpen(t, good)}, mustOpen(t, dir)
			did, err := Repair(t.Context(), dst, []Store{src}, RepairOptions{})
			if err != nil || len(did.Mended) != 1 {
				t.Errorf("%s is %s: Repair = %+v, %v", e.Name(), name, did, err)
			}
			if len(src.fetched) != 1 || src.fetched[0].Encoded() != e.Name() {
				t.Errorf("%s is %s: fetched %v", e.Name(), name, src.fetched)
			}
			mustClose(t, dst)
			mustClose(t, src)
			os.Remove(file + "-")
			if contents(t, dir) != want {
				t.Fatalf("%s was %s: the layout is another after Repair", e.Name(), name)
			}
		}
	}
}

// contents is what all files below dir are.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		var data []byte
		if err == nil && info.Mode().IsRegular() {
			data, err = os.ReadFile(path)
		}
		fmt.Fprintf(&b, "%s %s %q\n", path, info.Mode(), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func cloneLayout(t *testing.T, dir string) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "layout")
	if err := os.CopyFS(clone, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return clone
}

// TestRepairBelievesNoSource holds that a source which sends something else, or has no end, mends nothing and leaves
// nothing.
func TestRepairBelievesNoSource(t *testing.T) {
	good, _ := signedBundle(t)
	for name, instead := range map[string]func(ocispec.Descriptor) io.Reader{
		"nothing":     func(ocispec.Descriptor) io.Reader { return strings.NewReader("") },
		"other bytes": func(d ocispec.Descriptor) io.Reader { return strings.NewReader(strings.Repeat("x", int(d.Size))) },
		"no end":      func(ocispec.Descriptor) io.Reader { return endless{} },
	} {
		dir := cloneLayout(t, good)
		for _, e := range mustDo(os.ReadDir(filepath.Join(dir, blobDir))) {
			if err := os.Truncate(filepath.Join(dir, blobDir, e.Name()), 1); err != nil {
				t.Fatal(err)
			}
		}
		before := contents(t, dir)
		src, dst := &watched{Store: mustOpen(t, good), instead: instead}, mustOpen(t, dir)
		did, err := Repair(t.Context(), dst, []Store{src}, RepairOptions{})
		if !errors.Is(err, ErrNotFound) || len(did.Mended) > 0 || len(did.Lost) == 0 {
			t.Errorf("%s: Repair = %+v, %v; want what is lost", name, did, err)
		}
		mustClose(t, dst)
		if contents(t, dir) != before {
			t.Errorf("%s: the tree has changed", name)
		}
		dst = mustOpen(t, dir)
		did, err = Repair(t.Context(), dst, []Store{src, mustOpen(t, good)}, RepairOptions{})
		if err != nil || len(did.Lost) > 0 {
			t.Errorf("%s, with a good one behind it: Repair = %+v, %v", name, did, err)
		}
		mustClose(t, dst)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestRepairSweeps holds that what a killed run left goes, also where nothing is left to be mended.
func TestRepairSweeps(t *testing.T) {
	dir, _ := signedBundle(t)
	want := contents(t, dir)
	dead := filepath.Join(dir, stagingPrefix+rand.Text())
	if err := errors.Join(os.Mkdir(dead, 0o755), os.WriteFile(filepath.Join(dead, stagingLock), nil, 0o644), os.WriteFile(filepath.Join(dead, "1"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir)
	if did, err := Repair(t.Context(), s, nil, RepairOptions{}); err != nil || len(did.Mended) > 0 {
		t.Errorf("Repair = %+v, %v", did, err)
	}
	mustClose(t, s)
	if contents(t, dir) != want {
		t.Error("something is left")
	}
}

// TestRepairDryRun holds that a dry run knows what is to be fetched, below damaged documents too, and changes nothing.
func TestRepairDryRun(t *testing.T) {
	good, _ := signedBundle(t)
	dir := cloneLayout(t, good)
	entries := mustDo(os.ReadDir(filepath.Join(dir, blobDir)))
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, blobDir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, dir)
	dst := mustOpen(t, dir)
	did, err := Repair(t.Context(), dst, []Store{mustOpen(t, good)}, RepairOptions{DryRun: true})
	if err != nil || len(did.Mended) != len(entries) || did.Blobs != len(entries) {
		t.Errorf("Repair = %+v, %v; want %d that can be mended", did, err, len(entries))
	}
	if !slices.ContainsFunc(did.Mended, func(d Damage) bool { return errors.Is(d.Err, ErrNotFound) }) {
		t.Errorf("%+v: want ErrNotFound", did.Mended)
	}
	mustClose(t, dst)
	if tree(t, dir) != before {
		t.Error("a dry run has changed the layout")
	}
}
