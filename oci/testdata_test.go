package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

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
