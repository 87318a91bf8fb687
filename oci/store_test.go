package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

func mustCreate(t testing.TB, dir string) Store {
	t.Helper()
	s, err := Create(context.Background(), Reference{Transport: TransportLayout, Path: dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustOpen(t testing.TB, dir string) Store {
	t.Helper()
	s, err := Open(context.Background(), Reference{Transport: TransportLayout, Path: dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustClose(t testing.TB, s Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustPush(t testing.TB, s Store, desc ocispec.Descriptor, data []byte) {
	t.Helper()
	if err := s.Push(context.Background(), desc, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func mustTag(t testing.TB, s Store, desc ocispec.Descriptor, target string) {
	t.Helper()
	if err := s.Tag(context.Background(), desc, target); err != nil {
		t.Fatal(err)
	}
}

func fetchAll(t testing.TB, s Store, desc ocispec.Descriptor) []byte {
	t.Helper()
	data, err := content.FetchAll(context.Background(), s, desc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func pushJSON(t testing.TB, s Store, mediaType string, v any) ocispec.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	desc := content.NewDescriptorFromBytes(mediaType, data)
	mustPush(t, s, desc, data)
	return desc
}

// pushBundle pushes an index of one manifest for each platform, with a layer they share and one of their own.
func pushBundle(t testing.TB, s Store, platforms ...string) ocispec.Descriptor {
	t.Helper()
	shared, sharedID := pushLayer(t, s, "shared")
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, p := range platforms {
		goos, arch, _ := strings.Cut(p, "/")
		platform := ocispec.Platform{OS: goos, Architecture: arch}
		own, ownID := pushLayer(t, s, p)
		config := pushJSON(t, s, ocispec.MediaTypeImageConfig, ocispec.Image{
			Platform: platform,
			RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{ownID, sharedID}},
		})
		m := pushJSON(t, s, ocispec.MediaTypeImageManifest, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2},
			MediaType: ocispec.MediaTypeImageManifest,
			Config:    config,
			Layers:    []ocispec.Descriptor{own, shared},
		})
		m.Platform = &platform
		index.Manifests = append(index.Manifests, m)
	}
	return pushJSON(t, s, ocispec.MediaTypeImageIndex, index)
}

func pushReferrer(t testing.TB, s Store, subject ocispec.Descriptor, text string) ocispec.Descriptor {
	t.Helper()
	config := ocispec.DescriptorEmptyJSON
	config.Data = nil
	mustPush(t, s, config, []byte("{}"))
	blob := content.NewDescriptorFromBytes("application/vnd.test", []byte(text))
	mustPush(t, s, blob, []byte(text))
	return pushJSON(t, s, ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: "application/vnd.test",
		Config:       config,
		Layers:       []ocispec.Descriptor{blob},
		Subject:      &subject,
	})
}

func manifestsOf(t testing.TB, s Store, index ocispec.Descriptor) []ocispec.Descriptor {
	t.Helper()
	var ix ocispec.Index
	if _, err := FetchDocument(context.Background(), s, index, &ix); err != nil {
		t.Fatal(err)
	}
	return ix.Manifests
}

// pushLayer pushes a layer of one file. It is compressed because go-containerregistry validates no other.
func pushLayer(t testing.TB, s Store, text string) (layer ocispec.Descriptor, diffID digest.Digest) {
	t.Helper()
	var plain, packed bytes.Buffer
	tw := tar.NewWriter(&plain)
	tw.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(text))})
	tw.Write([]byte(text))
	tw.Close()
	zw := gzip.NewWriter(&packed)
	zw.Write(plain.Bytes())
	zw.Close()
	desc := content.NewDescriptorFromBytes(ocispec.MediaTypeImageLayerGzip, packed.Bytes())
	mustPush(t, s, desc, packed.Bytes())
	return desc, digest.FromBytes(plain.Bytes())
}
