package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// largeLayout is a layout with one blob of so many bytes, none of which is on the disk.
func largeLayout(t *testing.T, size int64) (ref string) {
	t.Helper()
	dir := filepath.Join(tempDir(t), "large")
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	blob := func(mediaType string, v any) ocispec.Descriptor {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		write("blobs/sha256/"+desc.Digest.Encoded(), data)
		return desc
	}
	layer := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString("large"), Size: size}
	write("blobs/sha256/"+layer.Digest.Encoded(), nil)
	if err := os.Truncate(filepath.Join(blobs, layer.Digest.Encoded()), size); err != nil {
		t.Fatal(err)
	}
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{layer}}
	m.SchemaVersion = 2
	m.Config = blob(ocispec.MediaTypeImageConfig, ocispec.Image{})
	desc := blob(ocispec.MediaTypeImageManifest, m)
	desc.Annotations = map[string]string{ocispec.AnnotationRefName: "v1"}
	index := ocispec.Index{Manifests: []ocispec.Descriptor{desc}}
	index.SchemaVersion = 2
	data, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	write(ocispec.ImageIndexFile, data)
	write(ocispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return "oci:" + dir + ":v1"
}
