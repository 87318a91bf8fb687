package bundle

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/oci"
)

// A GOROOT layer gives back a zip of the sum that its descriptor says, from a store that can read at
// any place and from one that cannot.
func TestToolchainZip(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	for name, s := range map[string]oci.Store{"anywhere": s, "from the beginning": told{Store: s}} {
		v := verifyTest(t, s)
		desc := v.Platforms[0].Layers[0]
		m, _ := layerModule(desc)
		var zip bytes.Buffer
		if err := v.writeToolchainZip(t.Context(), desc, &zip); err != nil {
			t.Fatal(err)
		}
		checkZip(t, m, zip.Bytes(), desc.Annotations[AnnotationSum])
		content := toolchainContent(m.Version)
		if err := checkInfo(content.info, m.Version); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func checkZip(t *testing.T, m module.Version, zip []byte, want string) {
	t.Helper()
	if sum, err := zipSum(m, bytes.NewReader(zip), int64(len(zip))); err != nil || sum != want {
		t.Errorf("the zip of %s has the sum %s, %v, want %s", m, sum, err, want)
	}
}

// A layer that was changed after it was proven gives nothing.
func TestToolchainZipOfChangedLayer(t *testing.T) {
	dir := t.TempDir()
	s, _ := packTest(t, captured(t), dir)
	v := verifyTest(t, s)
	desc := v.Platforms[0].Layers[0]
	name := filepath.Join(dir, "blobs", "sha256", desc.Digest.Encoded())
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, data, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []oci.Store{s, told{Store: s}} {
		v.store = s
		var zip bytes.Buffer
		if err := v.writeToolchainZip(t.Context(), desc, &zip); !errors.Is(err, ErrMismatch) || zip.Len() > 0 {
			t.Errorf("writeToolchainZip = %v after %d bytes, want %v", err, zip.Len(), ErrMismatch)
		}
	}
}
