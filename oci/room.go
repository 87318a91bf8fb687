package oci

import (
	"io/fs"
	"os"
	"path/filepath"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci/space"
)

// CheckRoom fails with [ErrNoSpace] if the disk of s, a layout or an archive, cannot take blobs of whose digests
// nothing is known yet. Any that a layout has may be among them, so they are taken off.
func CheckRoom(s Store, blobs int, bytes int64) error {
	need := space.Need{Bytes: bytes, Files: int64(blobs)}
	switch s := s.(type) {
	case *layout:
		have := s.blobsThere()
		need.Bytes -= have.Bytes
		need.Files -= have.Files
		return mark(ErrNoSpace, space.Check(s.dir, need))
	case *archive:
		return mark(ErrNoSpace, space.Check(s.path, space.Need{Bytes: bytes, Largest: bytes}))
	}
	return nil
}

// checkRoom is CheckRoom for blobs that are known.
func checkRoom(s Store, blobs []Blob) error {
	switch s := s.(type) {
	case *layout:
		var need space.Need
		for _, b := range blobs {
			size, err := s.blobSize(b.Descriptor.Digest)
			switch {
			case err != nil:
				need.Add(b.Descriptor.Size - s.partSize(b.Descriptor))
			case size != b.Descriptor.Size: // it is replaced
				need.Bytes += max(b.Descriptor.Size-size, 0)
			}
		}
		return mark(ErrNoSpace, space.Check(s.dir, need))
	case *archive:
		var need space.Need
		for _, b := range blobs {
			if _, err := s.blobSize(b.Descriptor.Digest); err != nil {
				need.Bytes += tarSize(b.Descriptor)
			}
		}
		need.Largest = need.Bytes
		return mark(ErrNoSpace, space.Check(s.path, need))
	}
	return nil
}

// checkRoom is CheckRoom for all volumes together.
func (w *volumeWriter) checkRoom() error {
	var need space.Need
	add := func(volume int, name string, size int64) {
		info, err := os.Lstat(filepath.Join(w.dir, volumeName(volume, w.list.Volumes), name))
		if err != nil || info.Size() != size {
			need.Add(size)
		}
	}
	for _, b := range w.list.Blobs {
		if b.Parts == nil {
			add(b.Volume, blobPath(b.Digest), b.Size)
		}
		for i, part := range b.Parts {
			add(part.Volume, partPath(b.Digest, i), part.Size)
		}
	}
	return mark(ErrNoSpace, space.Check(w.dir, need))
}

// tarSize is what a blob takes of an archive: a header, and blocks of 512 bytes.
func tarSize(desc ocispec.Descriptor) int64 { return 512 + (desc.Size+511)/512*512 }

// partSize is how much of a blob an earlier attempt has left.
func (l *layout) partSize(desc ocispec.Descriptor) int64 {
	l.mu.Lock()
	name := l.parts[desc.Digest]
	l.mu.Unlock()
	if name == "" {
		return 0
	}
	info, err := l.root.Lstat(name)
	if err != nil {
		return 0
	}
	return min(info.Size(), desc.Size)
}

// blobsThere counts all files of blobs.
func (l *layout) blobsThere() (have space.Need) {
	entries, err := fs.ReadDir(l.root.FS(), blobDir)
	if err != nil {
		return have
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			have.Add(info.Size())
		}
	}
	return have
}
