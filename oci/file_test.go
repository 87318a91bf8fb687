package oci

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"oras.land/oras-go/v2/content"
)

// A blob is found in a file of the caller's own, of a layout and of an archive.
func TestOpenFile(t *testing.T) {
	data := []byte("a blob")
	desc := content.NewDescriptorFromBytes("application/octet-stream", data)
	index := content.NewDescriptorFromBytes("application/vnd.oci.image.index.v1+json", []byte(emptyIndex))
	for _, ref := range []Reference{
		{Transport: TransportLayout, Path: filepath.Join(t.TempDir(), "layout")},
		{Transport: TransportArchive, Path: filepath.Join(t.TempDir(), "archive.tar")},
	} {
		s, err := Create(t.Context(), ref, Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(s.Push(t.Context(), desc, bytes.NewReader(data)), s.Push(t.Context(), index, bytes.NewReader([]byte(emptyIndex))), s.Tag(t.Context(), index, "v1"), s.Close())
		if err != nil {
			t.Fatal(err)
		}
		if s, err = Open(t.Context(), ref, Options{}); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		f, offset, err := s.(FileStore).OpenFile(t.Context(), desc)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		defer f.Close()
		if got, err := io.ReadAll(io.NewSectionReader(f, offset, desc.Size)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: OpenFile has %q, %v, want %q", ref, got, err, data)
		}
		if _, _, err := s.(FileStore).OpenFile(t.Context(), content.NewDescriptorFromBytes("", []byte("other"))); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: a blob that is not there: %v", ref, err)
		}
	}
}

// An archive that was replaced is still read, but not opened again under its name.
func TestOpenFileOfReplacedArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive.tar")
	data := makeTar(entry{layoutFile, '0', layoutVersion}, entry{indexFile, '0', emptyIndex}, entry{blobPath("sha256:" + hex64), '0', "x"})
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Reference{Transport: TransportArchive, Path: path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := errors.Join(os.WriteFile(path+".new", data, 0o644), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	desc := content.NewDescriptorFromBytes("", []byte("x"))
	desc.Digest = "sha256:" + hex64
	if _, _, err := s.(FileStore).OpenFile(t.Context(), desc); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("OpenFile: %v, want %v", err, errors.ErrUnsupported)
	}
	if _, err := s.Fetch(t.Context(), desc); err != nil {
		t.Errorf("Fetch: %v", err)
	}
}
