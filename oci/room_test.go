package oci

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci/space"
)

// vast is more than any disk of these tests has, and less than the largest file that most file systems can have.
const vast = 1 << 43

func vastBlob(t *testing.T) Blob {
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString("vast"), Size: vast}
	return Blob{desc, func(context.Context) (io.ReadCloser, error) {
		t.Error("a blob was opened for which there is no room")
		return nil, errors.ErrUnsupported
	}}
}

func TestPushWithoutRoom(t *testing.T) {
	for _, transport := range []Transport{TransportLayout, TransportArchive} {
		t.Run(string(transport), func(t *testing.T) {
			dir := t.TempDir()
			ref := Reference{Transport: transport, Path: filepath.Join(dir, "app")}
			s := mustDo(Create(t.Context(), ref, Options{}))
			err := Push(t.Context(), s, "", []Blob{vastBlob(t)}, CopyOptions{})
			var full *space.Error
			if !errors.Is(err, ErrNoSpace) || !errors.As(err, &full) || full.Path != ref.Path || full.Needed < vast {
				t.Errorf("Push = %v, want no space in %s for %d bytes", err, ref.Path, int64(vast))
			}
			if err := CheckRoom(s, 1, vast); !errors.Is(err, ErrNoSpace) {
				t.Errorf("CheckRoom = %v, want %v", err, ErrNoSpace)
			}
			mustClose(t, s)
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

func TestVolumesWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	blob := vastBlob(t)
	src := mustCreate(t, filepath.Join(dir, "source"))
	defer src.Close()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{blob.Descriptor}}
	m.SchemaVersion = 2
	m.Config = pushJSON(t, src, ocispec.MediaTypeImageConfig, ocispec.Image{})
	mustTag(t, src, pushJSON(t, src, ocispec.MediaTypeImageManifest, m), "v1")
	if err := sparse(filepath.Join(dir, "source", blobPath(blob.Descriptor.Digest))); err != nil {
		t.Skipf("this file system has no files of 8 TiB: %v", err)
	}
	volumes := filepath.Join(dir, "volumes")
	_, _, err := CopyToVolumes(t.Context(), src, "v1", volumes, "v1", vast/10, CopyOptions{})
	if !errors.Is(err, ErrNoSpace) {
		t.Errorf("CopyToVolumes = %v, want %v", err, ErrNoSpace)
	}
	if _, err := os.Stat(volumes); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made, %v", volumes, err)
	}
}

// sparse makes a vast file that takes nothing of the disk.
func sparse(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(vast), f.Close())
}

// What a layout has already takes no room, nor does the part of a blob that it has.
func TestRoomOfWhatIsThere(t *testing.T) {
	blob := vastBlob(t)
	t.Run("blob", func(t *testing.T) {
		dir := t.TempDir()
		l := mustCreate(t, dir).(*layout)
		defer l.Close()
		if err := sparse(filepath.Join(dir, blobPath(blob.Descriptor.Digest))); err != nil {
			t.Skipf("this file system has no files of 8 TiB: %v", err)
		}
		if err := errors.Join(checkRoom(l, []Blob{blob}), CheckRoom(l, 1, vast)); err != nil {
			t.Error(err)
		}
		longer := Blob{Descriptor: blob.Descriptor}
		longer.Descriptor.Size += 1 << 10 // so what is there is cut, and is replaced
		if err := checkRoom(l, []Blob{longer}); err != nil {
			t.Error(err)
		}
		if err := CheckRoom(l, 2, 2*vast); !errors.Is(err, ErrNoSpace) {
			t.Errorf("CheckRoom for another = %v, want %v", err, ErrNoSpace)
		}
	})
	t.Run("part", func(t *testing.T) {
		dir := t.TempDir()
		l := mustCreate(t, dir).(*layout)
		defer l.Close()
		st := mustDo(l.staged(t.Context()))
		name := st.partName(blob.Descriptor.Digest)
		if err := sparse(filepath.Join(dir, name)); err != nil {
			t.Skipf("this file system has no files of 8 TiB: %v", err)
		}
		l.parts[blob.Descriptor.Digest] = name
		if err := checkRoom(l, []Blob{blob}); err != nil {
			t.Error(err)
		}
	})
}
