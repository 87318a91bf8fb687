package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/content"
)

const emptyIndex = `{"schemaVersion":2,"manifests":[]}`

type entry struct {
	name string
	kind byte
	text string
}

func makeTar(entries ...entry) []byte {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: e.kind, Mode: 0o644}
		if e.kind == tar.TypeReg {
			h.Size = int64(len(e.text))
		} else {
			h.Linkname = e.text
		}
		tw.WriteHeader(h)
		if e.kind == tar.TypeReg {
			tw.Write([]byte(e.text))
		}
	}
	tw.Close()
	return buf.Bytes()
}

func TestArchiveFromElsewhere(t *testing.T) {
	layoutEntry := entry{layoutFile, tar.TypeReg, layoutVersion}
	indexEntry := entry{indexFile, tar.TypeReg, emptyIndex}
	good := makeTar(layoutEntry, indexEntry)
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	zw.Write(good)
	zw.Close()
	blob := blobPath("sha256:" + hex64)
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"plain":                {good, nil},
		"dot and directories":  {makeTar(entry{"./", tar.TypeDir, ""}, entry{"./blobs/", tar.TypeDir, ""}, entry{"./" + layoutFile, tar.TypeReg, layoutVersion}, entry{"./" + indexFile, tar.TypeReg, emptyIndex}), nil},
		"other files":          {makeTar(layoutEntry, indexEntry, entry{"manifest.json", tar.TypeReg, "x"}, entry{"../evil", tar.TypeSymlink, "/etc/passwd"}), nil},
		"no layout file":       {makeTar(indexEntry), ErrNotLayout},
		"no index":             {makeTar(layoutEntry), ErrNotLayout},
		"not a tar":            {bytes.Repeat([]byte("x"), 2000), ErrDigest},
		"empty":                {nil, ErrNotLayout},
		"compressed":           {packed.Bytes(), ErrNotLayout},
		"cut in a header":      {good[:700+512], ErrDigest},
		"index twice":          {makeTar(layoutEntry, indexEntry, indexEntry), ErrDigest},
		"blob twice":           {makeTar(layoutEntry, indexEntry, entry{blob, tar.TypeReg, "x"}, entry{"./" + blob, tar.TypeReg, "y"}), ErrDigest},
		"blob is a link":       {makeTar(layoutEntry, indexEntry, entry{blob, tar.TypeLink, indexFile}), ErrDigest},
		"blob is a symlink":    {makeTar(layoutEntry, indexEntry, entry{blob, tar.TypeSymlink, "/dev/zero"}), ErrDigest},
		"blob is a FIFO":       {makeTar(layoutEntry, indexEntry, entry{blob, tar.TypeFifo, ""}), ErrDigest},
		"index with two names": {makeTar(layoutEntry, entry{indexFile, tar.TypeReg, `{"schemaVersion":2,"Manifests":[]}`}), ErrDigest},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tar")
			os.WriteFile(path, tt.data, 0o644)
			s, err := Open(t.Context(), Reference{Transport: TransportArchive, Path: path}, Options{})
			if tt.want == nil && err != nil || !errors.Is(err, tt.want) {
				t.Errorf("Open = %v, want %v", err, tt.want)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}

func TestArchiveIsNotChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.tar")
	os.WriteFile(path, makeTar(entry{layoutFile, tar.TypeReg, layoutVersion}, entry{indexFile, tar.TypeReg, emptyIndex}), 0o644)
	s := mustDo(Open(t.Context(), Reference{Transport: TransportArchive, Path: path}, Options{}))
	defer s.Close()
	desc := content.NewDescriptorFromBytes("text/plain", []byte("x"))
	if err := s.Push(t.Context(), desc, bytes.NewReader([]byte("x"))); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Push = %v, want ErrUnsupported", err)
	}
	if err := s.Tag(t.Context(), desc, "v1"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Tag = %v, want ErrUnsupported", err)
	}
}

func TestArchiveReplacesAndSweeps(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.tar")
	os.WriteFile(path, []byte("old"), 0o644)
	os.WriteFile(filepath.Join(dir, archivePrefix(path)+rand.Text()), []byte("half"), 0o644)
	s := mustDo(Create(t.Context(), Reference{Transport: TransportArchive, Path: path}, Options{}))
	if data := mustDo(os.ReadFile(path)); string(data) != "old" {
		t.Error("the old archive is gone before the new one is there")
	}
	mustTag(t, s, pushBundle(t, s, "linux/amd64"), "v1")
	mustClose(t, s)
	if files := mustDo(os.ReadDir(dir)); len(files) != 1 {
		t.Errorf("there is %v, want only the archive", files)
	}
	s = mustDo(Open(t.Context(), Reference{Transport: TransportArchive, Path: path}, Options{}))
	mustClose(t, s)
}

func FuzzArchive(f *testing.F) {
	layoutEntry, indexEntry := entry{layoutFile, tar.TypeReg, layoutVersion}, entry{indexFile, tar.TypeReg, goodIndex}
	f.Add(makeTar(layoutEntry, indexEntry))
	f.Add(makeTar(layoutEntry, indexEntry, entry{blobPath("sha256:" + hex64), tar.TypeReg, "content"}))
	f.Add(makeTar(entry{"./" + layoutFile, tar.TypeReg, ""}, entry{indexFile, tar.TypeSymlink, "/dev/zero"}))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data []byte) {
		spans, err := scanArchive(bytes.NewReader(data))
		if err != nil {
			return
		}
		for name, s := range spans {
			if s.offset < 0 || s.size < 0 || s.offset+s.size > int64(len(data)) {
				t.Fatalf("%s is at %d, %d bytes, in an archive of %d", name, s.offset, s.size, len(data))
			}
		}
		at := spans[indexFile]
		if ix, err := parseIndex(data[at.offset : at.offset+at.size]); err == nil {
			ix.only()
			ix.bytes()
		}
	})
}

// TestArchiveReplacesFilesOnly holds that a file is not renamed over anything else.
func TestArchiveReplacesFilesOnly(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"fifo":             mkfifo,
		"directory":        func(p string) error { return os.Mkdir(p, 0o755) },
		"symlink":          func(p string) error { os.WriteFile(p+"-2", nil, 0o644); return os.Symlink(p+"-2", p) },
		"dangling symlink": func(p string) error { return os.Symlink("nowhere", p) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, late := range []bool{false, true} {
				path := filepath.Join(t.TempDir(), "a.tar")
				ref := Reference{Transport: TransportArchive, Path: path}
				var s Store
				if late {
					s = mustDo(Create(t.Context(), ref, Options{}))
					mustTag(t, s, pushBundle(t, s, "linux/amd64"), "v1")
				}
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				before := mustDo(os.Lstat(path))
				var err error
				if late {
					err = s.Close()
				} else {
					_, err = Create(t.Context(), ref, Options{})
				}
				if !errors.Is(err, ErrNotLayout) || !strings.Contains(err.Error(), path) {
					t.Errorf("late %v: %v, want ErrNotLayout", late, err)
				}
				if after := mustDo(os.Lstat(path)); !os.SameFile(before, after) {
					t.Errorf("late %v: it was replaced", late)
				}
				if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
					t.Errorf("late %v: %v is left", late, left)
				}
			}
		})
	}
}

// An archive that is written anew in place, not under a new name, is not read on: something else is where a blob was.
func TestArchiveChangedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive.tar")
	ref := Reference{Transport: TransportArchive, Path: path}
	data := []byte("a blob")
	desc := content.NewDescriptorFromBytes("application/octet-stream", data)
	index := content.NewDescriptorFromBytes("application/vnd.oci.image.index.v1+json", []byte(emptyIndex))
	s := mustDo(Create(t.Context(), ref, Options{}))
	if err := errors.Join(s.Push(t.Context(), desc, bytes.NewReader(data)), s.Push(t.Context(), index, strings.NewReader(emptyIndex)),
		s.Tag(t.Context(), index, "v1"), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = mustDo(Open(t.Context(), ref, Options{}))
	defer s.Close()
	if rc, err := s.Fetch(t.Context(), desc); err != nil {
		t.Fatal(err)
	} else {
		rc.Close()
	}
	if err := os.WriteFile(path, []byte("something else"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), desc); !errors.Is(err, ErrDigest) {
		t.Errorf("Fetch = %v, want ErrDigest", err)
	}
	if _, _, err := s.(FileStore).OpenFile(t.Context(), desc); !errors.Is(err, ErrDigest) {
		t.Errorf("OpenFile = %v, want ErrDigest", err)
	}
}
