package oci

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// pushLayer pushes an uncompressed layer of one file, as other readers want layers to be tar.
func pushLayer(t testing.TB, s Store, text string) ocispec.Descriptor {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	tw.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(text))})
	tw.Write([]byte(text))
	tw.Close()
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromBytes(buf.Bytes()), Size: int64(buf.Len())}
	mustPush(t, s, desc, buf.Bytes())
	return desc
}
