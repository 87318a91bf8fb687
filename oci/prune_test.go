package oci

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// ageBlobs lets all files of a layout be two days old, as most are that are pruned.
func ageBlobs(t *testing.T, dir string) {
	t.Helper()
	then := time.Now().Add(-48 * time.Hour)
	for _, pattern := range []string{blobDir + "/*", stagingPrefix + "*/*"} {
		for _, name := range mustDo(filepath.Glob(filepath.Join(dir, pattern))) {
			if err := os.Chtimes(name, then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// prunedLayout prunes a layout and returns the hexadecimal names of the blobs that are gone, sorted.
func prunedLayout(t *testing.T, dir string) []string {
	t.Helper()
	before := blobNames(t, dir)
	s := mustOpen(t, dir)
	defer s.Close()
	would, err := Prune(t.Context(), s, true)
	if err != nil {
		t.Fatal(err)
	}
	if left := blobNames(t, dir); !slices.Equal(left, before) {
		t.Fatal("a dry run has removed something")
	}
	did, err := Prune(t.Context(), s, false)
	if err != nil || fmt.Sprint(would) != fmt.Sprint(did) {
		t.Fatalf("Prune = %+v, %v; the dry run %+v", did, err, would)
	}
	left := blobNames(t, dir)
	gone := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(left, name) })
	if len(gone) != len(did.Blobs) {
		t.Errorf("%d are gone, Prune says %+v", len(gone), did)
	}
	return gone
}

func blobNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, e := range mustDo(os.ReadDir(filepath.Join(dir, blobDir))) {
		names = append(names, e.Name())
	}
	return names
}

func pushText(t *testing.T, s Store, text string) ocispec.Descriptor {
	t.Helper()
	desc := content.NewDescriptorFromBytes("application/octet-stream", []byte(text))
	mustPush(t, s, desc, []byte(text))
	return desc
}

// TestPrune holds that what a tag led to goes when the tag has moved on, and that nothing else does.
func TestPrune(t *testing.T) {
	dir, root := signedBundle(t)
	kept := blobNames(t, dir)
	s := mustOpen(t, dir)
	pushBundle(t, s, "windows/amd64") // tagged once, and then moved
	lost := pushText(t, s, "nobody's")
	mustClose(t, s)
	ageBlobs(t, dir)
	gone := prunedLayout(t, dir)
	if !slices.Equal(blobNames(t, dir), kept) || !slices.Contains(gone, lost.Digest.Encoded()) || len(gone) != 5 {
		t.Errorf("%v are gone; want the index, manifest, config and layer of a bundle, and %s", gone, lost.Digest)
	}
	s = mustOpen(t, dir)
	defer s.Close()
	checkSigned(t, s, root, "v1")
	if gone := prunedLayout(t, dir); len(gone) > 0 {
		t.Errorf("the second time %v are gone", gone)
	}
}

// TestPruneSignatures holds that signatures go with what they belong to, and stay with what is not there.
func TestPruneSignatures(t *testing.T) {
	dir, _ := signedBundle(t)
	s := mustOpen(t, dir)
	other := pushBundle(t, s, "windows/amd64")
	mustTag(t, s, other, "v1") // in place of what is signed
	elsewhere := pushBundle(t, s, "plan9/amd64")
	mustTag(t, s, elsewhere, fallbackTag(digest.FromString("in another place"))+".sig")
	mustClose(t, s)
	if did, err := Prune(t.Context(), mustOpen(t, dir), false); err != nil || len(did.Tags)+len(did.Blobs) > 0 || did.Young == 0 {
		t.Errorf("Prune of what is young = %+v, %v", did, err)
	}
	ageBlobs(t, dir)
	prunedLayout(t, dir)
	s = mustOpen(t, dir)
	defer s.Close()
	var tags []string
	for tag, err := range s.Tags(t.Context()) {
		tags = append(tags, tag)
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(tags) != 2 || tags[1] != "v1" {
		t.Errorf("tags are %q, want the signature of what is not there, and v1", tags)
	}
	if left := blobNames(t, dir); len(left) != 2*4+1 {
		t.Errorf("%d blobs are left, want those of two bundles, which share one", len(left))
	}
	for _, root := range []ocispec.Descriptor{other, elsewhere} {
		if _, err := Check(t.Context(), s, root, CopyOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestPruneKeepsForeign holds that blobs stay to which other tools have ways of their own.
func TestPruneKeepsForeign(t *testing.T) {
	dir, root := signedBundle(t)
	s := mustOpen(t, dir)
	pushReferrer(t, s, root, "a referrer that nothing lists")
	nested := pushJSON(t, s, ocispec.MediaTypeImageIndex, ocispec.Index{
		Manifests: []ocispec.Descriptor{pushBundle(t, s, "windows/arm64")}, MediaType: ocispec.MediaTypeImageIndex,
	})
	layer := pushText(t, s, "of an artifact manifest")
	artifact := pushJSON(t, s, "application/vnd.oci.artifact.manifest.v1+json", map[string]any{"blobs": []any{layer}})
	later := pushJSON(t, s, "application/vnd.later+json", map[string]any{"new": map[string]any{"digest": artifact.Digest}})
	mustClose(t, s)
	editJSON(t, filepath.Join(dir, indexFile), func(ix map[string]any) {
		ix["manifests"] = append(ix["manifests"].([]any), later)
		ix["annotations"] = map[string]string{"also": string(nested.Digest)}
	})
	want := blobNames(t, dir)
	ageBlobs(t, dir)
	if gone := prunedLayout(t, dir); len(gone) > 0 || !slices.Equal(blobNames(t, dir), want) {
		t.Errorf("%v are gone", gone)
	}
}

// TestPruneSpelling holds that what a document names stays however the document is written.
func TestPruneSpelling(t *testing.T) {
	for name, spell := range map[string]func([]byte) []byte{
		"a line before it": func(data []byte) []byte { return append([]byte("\r\n"), data...) },
		"much space":       func(data []byte) []byte { return append(bytes.Repeat([]byte(" "), 600), data...) },
		"escapes":          func(data []byte) []byte { return bytes.ReplaceAll(data, []byte("sha256:"), []byte(`sha256\u003a`)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustCreate(t, dir)
			data := spell(mustDo(content.FetchAll(t.Context(), s, pushBundle(t, s, "linux/amd64"))))
			root := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, data)
			mustPush(t, s, root, data)
			mustTag(t, s, root, "v1")
			mustClose(t, s)
			ageBlobs(t, dir)
			if gone := prunedLayout(t, dir); len(gone) != 1 {
				t.Errorf("%v are gone, want the index before it was written otherwise", gone)
			}
			s = mustOpen(t, dir)
			defer s.Close()
			if checked, err := Check(t.Context(), s, root, CopyOptions{}); len(checked.Damaged) > 0 || err != nil {
				t.Errorf("Check = %v, %v", checked.Damaged, err)
			}
		})
	}
}

func editJSON(t *testing.T, name string, edit func(map[string]any)) {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(mustDo(os.ReadFile(name)), &v); err != nil {
		t.Fatal(err)
	}
	edit(v)
	if err := os.WriteFile(name, mustDo(json.Marshal(v)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPruneRefuses holds that nothing is removed where it is not known what leads to what, or somebody is at work.
func TestPruneRefuses(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string, root ocispec.Descriptor) error{
		"damaged index": func(_ *testing.T, dir string, root ocispec.Descriptor) error {
			return damages["flipped"](filepath.Join(dir, blobPath(root.Digest)))
		},
		"missing manifest": func(t *testing.T, dir string, root ocispec.Descriptor) error {
			s := mustOpen(t, dir)
			defer s.Close()
			return os.Remove(filepath.Join(dir, blobPath(manifestsOf(t, s, root)[0].Digest)))
		},
		"nothing tagged": func(_ *testing.T, dir string, _ ocispec.Descriptor) error {
			return os.WriteFile(filepath.Join(dir, indexFile), []byte(`{"schemaVersion":2,"manifests":[]}`), 0o644)
		},
		"other digests": func(_ *testing.T, dir string, _ ocispec.Descriptor) error {
			return os.Mkdir(filepath.Join(dir, "blobs", "sha512"), 0o755)
		},
		"a writer": func(t *testing.T, dir string, _ ocispec.Descriptor) error {
			s := mustCreate(t, dir) // has found a blob there, and names it in the end
			t.Cleanup(func() { s.Close() })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, root := signedBundle(t)
			s := mustOpen(t, dir)
			pushText(t, s, "nobody's")
			mustClose(t, s)
			if err := damage(t, dir, root); err != nil {
				t.Fatal(err)
			}
			ageBlobs(t, dir)
			before := blobNames(t, dir)
			s = mustOpen(t, dir)
			defer s.Close()
			if did, err := Prune(t.Context(), s, false); err == nil {
				t.Errorf("Prune = %+v, want an error", did)
			}
			if left := blobNames(t, dir); !slices.Equal(left, before) {
				t.Errorf("%d of %d blobs are left", len(left), len(before))
			}
		})
	}
}

// TestPruneWaits holds that a blob stays for an hour that another tool may be about to tag, and so does the part of one.
func TestPruneWaits(t *testing.T) {
	dir, _ := signedBundle(t)
	ageBlobs(t, dir)
	s := mustOpen(t, dir)
	desc := pushText(t, s, "young")
	mustClose(t, s)
	dead := filepath.Join(dir, stagingPrefix+rand.Text())
	part := filepath.Join(dead, "1-"+digest.FromString("large").Encoded())
	for _, err := range []error{os.Mkdir(dead, 0o755), os.WriteFile(filepath.Join(dead, stagingLock), nil, 0o644), os.WriteFile(part, []byte("x"), 0o644)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, dir)
	defer s.Close()
	did, err := Prune(t.Context(), s, false)
	if err != nil || did.Young != 1 || len(did.Blobs)+len(did.Litter) > 0 {
		t.Errorf("Prune = %+v, %v; want one that is young", did, err)
	}
	if _, err := os.Stat(part); err != nil {
		t.Error(err)
	}
	ageBlobs(t, dir)
	did, err = Prune(t.Context(), s, false)
	if err != nil || len(did.Blobs) != 1 || !strings.Contains(did.Blobs[0].Name, desc.Digest.Encoded()) || len(did.Litter) != 1 {
		t.Errorf("Prune of what is old = %+v, %v", did, err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", dead, err)
	}
}

// TestPruneBeforeTag holds that nothing is tagged which lacks a blob that was there before this store wrote anything.
func TestPruneBeforeTag(t *testing.T) {
	dir, root := signedBundle(t)
	s := mustOpen(t, dir)
	desc := pushText(t, s, "found, and then pruned")
	mustClose(t, s)
	ageBlobs(t, dir)
	late := mustOpen(t, dir)
	defer late.Close()
	if ok, err := late.Exists(t.Context(), desc); !ok || err != nil {
		t.Fatal(ok, err)
	}
	prunedLayout(t, dir)
	if err := late.Tag(t.Context(), root, "v2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Tag = %v, want ErrNotFound", err)
	}
}
