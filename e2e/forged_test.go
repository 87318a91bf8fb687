package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestForgedModule changes the source of one module and makes every digest above it right again, up to the tag. No digest is
// wrong then: only the module's sum can tell, with the sum in the descriptor as it was.
func TestForgedModule(t *testing.T) {
	f := packModules(t)
	dir, ref := f.clone(t)
	module := forge(t, dir)
	refused(t, 3, "verify", ref).says(t, module)
	target := filepath.Join(tempDir(t), "site")
	refused(t, 3, "unpack", anybody, ref, target).says(t, module)
	if _, err := os.Lstat(filepath.Join(target, "current")); err == nil {
		t.Error("unpack of a forged module left a current generation")
	}
}

// forge returns the name of the module that it changed.
func forge(t *testing.T, dir string) string {
	t.Helper()
	tags := decode[ocispec.Index](t, filepath.Join(dir, "index.json"))
	index := readJSON[ocispec.Index](t, dir, tags.Manifests[0].Digest.String())
	old, module := moduleLayer(t, dir, index.Manifests[0].Digest.String())
	layer := forgeLayer(t, blob(dir, old))
	for i, child := range index.Manifests {
		manifest := readJSON[ocispec.Manifest](t, dir, child.Digest.String())
		for j, desc := range manifest.Layers {
			if desc.Digest.String() == old {
				put(t, dir, &manifest.Layers[j], layer)
			}
		}
		config := bytes.ReplaceAll(content(t, dir, manifest.Config), []byte(old), []byte(digest.FromBytes(layer)))
		put(t, dir, &manifest.Config, config)
		put(t, dir, &index.Manifests[i], marshal(t, manifest))
	}
	put(t, dir, &tags.Manifests[0], marshal(t, index))
	write(t, filepath.Join(dir, "index.json"), string(marshal(t, tags)))
	return module
}

// forgeLayer changes a module layer's zip and leaves everything else as it is.
func forgeLayer(t *testing.T, file string) []byte {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	r, w := tar.NewReader(in), tar.NewWriter(&out)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		data, readErr := io.ReadAll(r)
		if err != nil || readErr != nil {
			t.Fatal(err, readErr)
		}
		if strings.HasSuffix(h.Name, ".zip") {
			data = forgeZip(t, data)
			h.Size = int64(len(data))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// forgeZip adds a comment to the end of each Go file.
func forgeZip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		from, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		to, err := w.Create(f.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, from); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name, ".go") {
			io.WriteString(to, "\n// forged\n")
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// put writes data as a blob and lets desc name it.
func put(t *testing.T, dir string, desc *ocispec.Descriptor, data []byte) {
	t.Helper()
	desc.Digest, desc.Size = digest.FromBytes(data), int64(len(data))
	write(t, blob(dir, desc.Digest.String()), string(data))
}

func content(t *testing.T, dir string, desc ocispec.Descriptor) []byte {
	t.Helper()
	data, err := os.ReadFile(blob(dir, desc.Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
