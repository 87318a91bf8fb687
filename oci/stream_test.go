package oci

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// streamed is signedBundle as a stream.
func streamed(t testing.TB) (data []byte, root ocispec.Descriptor) {
	t.Helper()
	dir, root := signedBundle(t)
	src := mustOpen(t, dir)
	defer src.Close()
	var buf bytes.Buffer
	dst := CreateStream(&buf)
	if _, err := Copy(context.Background(), src, "v1", dst, "v2", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, dst)
	return buf.Bytes(), root
}

func entries(t testing.TB, data []byte) (all []entry) {
	t.Helper()
	tr := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{h.Name, h.Typeflag, string(mustDo(io.ReadAll(tr)))})
	}
}

// once hides all methods but Read, as a pipe has no others.
type once struct{ io.Reader }

func copyStream(t testing.TB, data []byte, dst Store) error {
	_, err := CopyStream(t.Context(), once{bytes.NewReader(data)}, "v2", dst, "v3", CopyOptions{})
	return err
}

func TestStreamEverywhere(t *testing.T) {
	data, root := streamed(t)
	if again, _ := streamed(t); !bytes.Equal(data, again) {
		t.Error("the same bundle makes another stream")
	}
	for name, place := range map[string]func(t *testing.T) (Reference, Options){
		"layout": func(t *testing.T) (Reference, Options) {
			return Reference{Transport: TransportLayout, Path: filepath.Join(t.TempDir(), "l")}, Options{}
		},
		"archive": func(t *testing.T) (Reference, Options) {
			return Reference{Transport: TransportArchive, Path: filepath.Join(t.TempDir(), "a.tar")}, Options{}
		},
		"registry without referrers": func(t *testing.T) (Reference, Options) { return startRegistry(t, false, nil) },
		"registry with referrers":    func(t *testing.T) (Reference, Options) { return startRegistry(t, true, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			ref, opts := place(t)
			for range 2 { // the second time all is there
				dst := mustDo(Create(t.Context(), ref, opts))
				if err := copyStream(t, data, dst); err != nil {
					t.Fatal(err)
				}
				mustClose(t, dst)
			}
			dst := mustDo(Open(t.Context(), ref, opts))
			defer dst.Close()
			checkSigned(t, dst, root, "v3")
		})
	}
	path := filepath.Join(t.TempDir(), "stream.tar")
	os.WriteFile(path, data, 0o644)
	s := mustDo(Open(t.Context(), Reference{Transport: TransportArchive, Path: path}, Options{}))
	defer s.Close()
	checkSigned(t, s, root, "v2")
}

func TestStreamInAnyOrder(t *testing.T) {
	data, root := streamed(t)
	all := entries(t, data)
	if all[0].name != layoutFile || all[1].name != indexFile {
		t.Errorf("the stream begins with %q and %q", all[0].name, all[1].name)
	}
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	blobsFirst := slices.Concat(all[2:], all[:2])
	bySum := slices.SortedFunc(slices.Values(all), func(a, b entry) int { return cmp.Compare(digest.FromString(a.text), digest.FromString(b.text)) })
	indexFirst := slices.Concat(all[:2], bySum)
	for name, order := range map[string][]entry{"reversed": reversed, "blobs first": blobsFirst, "by sum": bySum, "index first": dropRepeated(indexFirst)} {
		t.Run(name, func(t *testing.T) {
			dst := mustCreate(t, filepath.Join(t.TempDir(), "l"))
			defer dst.Close()
			if err := copyStream(t, makeTar(order...), dst); err != nil {
				t.Fatal(err)
			}
			checkSigned(t, dst, root, "v3")
		})
	}
}

func dropRepeated(all []entry) (kept []entry) {
	for _, e := range all {
		if !slices.Contains(kept, e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// TestStreamBringsMore holds that a blob which nobody names is not stored if that can be known.
func TestStreamBringsMore(t *testing.T) {
	data, root := streamed(t)
	more := entry{blobPath(digest.FromString("more")), tar.TypeReg, "more"}
	dir := filepath.Join(t.TempDir(), "l")
	dst := mustCreate(t, dir)
	defer dst.Close()
	if err := copyStream(t, makeTar(append(entries(t, data), more)...), dst); err != nil {
		t.Fatal(err)
	}
	checkSigned(t, dst, root, "v3")
	if _, err := os.Stat(filepath.Join(dir, more.name)); err == nil {
		t.Error("a blob that nobody names was stored")
	}
}

// TestStreamCut cuts the stream everywhere. Nothing is tagged, and what has come is used by the next attempt.
func TestStreamCut(t *testing.T) {
	data, root := streamed(t)
	data = data[:len(data)-1024] // the end of the tar file may be missing
	for length := 0; length < len(data)-512; length += 256 {
		dir := filepath.Join(t.TempDir(), "l")
		dst := mustCreate(t, dir)
		err := copyStream(t, data[:length], dst)
		if err == nil || !errors.Is(err, ErrDigest) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotLayout) {
			t.Errorf("CopyStream of %d of %d bytes = %v", length, len(data), err)
		}
		if _, err := dst.Resolve(t.Context(), "v3"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Resolve after %d bytes = %v, want ErrNotFound", length, err)
		}
		mustClose(t, dst)
		if length%4096 != 0 {
			continue
		}
		dst = mustCreate(t, dir)
		if err := copyStream(t, data, dst); err != nil {
			t.Errorf("once more after %d bytes: %v", length, err)
		}
		checkSigned(t, dst, root, "v3")
		mustClose(t, dst)
	}
}

func TestStreamFromElsewhere(t *testing.T) {
	good, _ := streamed(t)
	all := entries(t, good)
	blob := entry{blobPath("sha256:" + hex64), tar.TypeReg, "x"}
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"empty":          {nil, ErrNotLayout},
		"text":           {bytes.Repeat([]byte("x"), 2000), ErrDigest},
		"compressed":     {[]byte{0x1f, 0x8b, 8, 0}, ErrNotLayout},
		"no layout file": {makeTar(all[1:]...), ErrNotLayout},
		"no index":       {makeTar(slices.Concat(all[:1], all[2:])...), ErrDigest},
		"index twice":    {makeTar(append(all, all[1])...), ErrDigest},
		"layout twice":   {makeTar(append(all, all[0])...), ErrDigest},
		"blob twice":     {makeTar(append(all, all[len(all)-1])...), ErrDigest},
		"wrong blob":     {makeTar(slices.Concat([]entry{blob}, all)...), ErrDigest},
		"link":           {makeTar(append(all, entry{blob.name, tar.TypeSymlink, "/dev/zero"})...), ErrDigest},
		"large index":    {makeTar(all[0], entry{indexFile, tar.TypeReg, strings.Repeat(" ", maxIndex+1)}), ErrDigest},
		"no root":        {makeTar(dropEntry(all, "application/vnd.oci.image.index")...), ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			dst := mustCreate(t, filepath.Join(t.TempDir(), "l"))
			defer dst.Close()
			if err := copyStream(t, tt.data, dst); !errors.Is(err, tt.want) {
				t.Errorf("CopyStream = %v, want %v", err, tt.want)
			}
			if _, err := dst.Resolve(t.Context(), "v3"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Resolve = %v, want ErrNotFound", err)
			}
		})
	}
}

// dropEntry drops the blobs that have the text in them.
func dropEntry(all []entry, text string) []entry {
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool {
		return strings.HasPrefix(e.name, blobDir) && strings.Contains(e.text, text)
	})
}

// TestStreamBreaks holds that an archive is never ended when its source has failed.
func TestStreamBreaks(t *testing.T) {
	dir, root := signedBundle(t)
	src := mustOpen(t, dir)
	defer src.Close()
	g := mustDo(Walk(t.Context(), src, root))
	last := g.Blobs[len(g.Blobs)-1]
	wrong := bytes.Repeat([]byte("x"), int(last.Size))
	os.WriteFile(filepath.Join(dir, blobPath(last.Digest)), wrong, 0o644)
	var buf bytes.Buffer
	dst := CreateStream(&buf)
	if _, err := Copy(t.Context(), src, "v1", dst, "v2", CopyOptions{}); !errors.Is(err, ErrDigest) {
		t.Errorf("Copy = %v, want ErrDigest", err)
	}
	mustClose(t, dst)
	l := mustCreate(t, filepath.Join(t.TempDir(), "l"))
	defer l.Close()
	if err := copyStream(t, buf.Bytes(), l); !errors.Is(err, ErrDigest) {
		t.Errorf("CopyStream = %v, want ErrDigest", err)
	}
}

func FuzzStream(f *testing.F) {
	data, _ := streamed(f)
	f.Add(data)
	all := entries(f, data)
	f.Add(makeTar(slices.Concat(all[2:], all[:2])...))
	f.Add(data[:len(data)/2])
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		dst := mustCreate(t, filepath.Join(dir, "l"))
		defer dst.Close()
		if err := copyStream(t, data, dst); err != nil {
			return
		}
		desc := mustDo(dst.Resolve(t.Context(), "v3"))
		if _, err := Check(t.Context(), dst, desc, CopyOptions{}); err != nil {
			t.Error(err)
		}
	})
}
