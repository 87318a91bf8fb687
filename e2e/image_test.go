package e2e

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An image is a layout with one manifest, which is being made: what moves like a bundle and costs nothing to make.
type image struct {
	dir      string
	manifest ocispec.Manifest
}

func newImage(t *testing.T) *image {
	t.Helper()
	m := &image{dir: filepath.Join(tempDir(t), "image")}
	if err := os.MkdirAll(filepath.Join(m.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.manifest = ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.manifest.SchemaVersion = 2
	m.manifest.Config = m.addDocument(t, ocispec.MediaTypeImageConfig, ocispec.Image{})
	return m
}

func (m *image) blob(d digest.Digest) string {
	return filepath.Join(m.dir, "blobs", "sha256", d.Encoded())
}

func (m *image) addDocument(t *testing.T, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	write(t, m.blob(desc.Digest), string(data))
	return desc
}

// addLayer adds a layer whose bytes are in the file already, or are still to be written.
func (m *image) addLayer(d digest.Digest, size int64) {
	m.manifest.Layers = append(m.manifest.Layers, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: d, Size: size})
}

// finish writes what is still missing, and returns the reference of the image.
func (m *image) finish(t *testing.T) (ref string) {
	t.Helper()
	desc := m.addDocument(t, ocispec.MediaTypeImageManifest, m.manifest)
	desc.Annotations = map[string]string{ocispec.AnnotationRefName: "v1"}
	index := ocispec.Index{Manifests: []ocispec.Descriptor{desc}}
	index.SchemaVersion = 2
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(m.dir, ocispec.ImageIndexFile), string(data))
	write(t, filepath.Join(m.dir, ocispec.ImageLayoutFile), `{"imageLayoutVersion":"1.0.0"}`)
	return "oci:" + m.dir + ":v1"
}

// largeImage has one layer of so many bytes, none of which is on the disk.
func largeImage(t *testing.T, size int64) (ref string) {
	t.Helper()
	m, d := newImage(t), digest.FromString("large")
	write(t, m.blob(d), "")
	if err := os.Truncate(m.blob(d), size); err != nil {
		t.Fatal(err)
	}
	m.addLayer(d, size)
	return m.finish(t)
}

// randomImage has layers of so many bytes, each of which is another.
func randomImage(t *testing.T, layers int, size int64) (ref string) {
	t.Helper()
	m, random := newImage(t), rand.NewChaCha8([32]byte{})
	for range layers {
		f, err := os.Create(filepath.Join(m.dir, "layer"))
		if err != nil {
			t.Fatal(err)
		}
		d := digest.Canonical.Digester()
		if _, err := io.CopyN(io.MultiWriter(f, d.Hash()), random, size); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(f.Name(), m.blob(d.Digest())); err != nil {
			t.Fatal(err)
		}
		m.addLayer(d.Digest(), size)
	}
	return m.finish(t)
}
