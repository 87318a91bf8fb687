package serve

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A blob whose file has changed since it was proven is served only if it is the same blob after all.
func TestChangedBlob(t *testing.T) {
	const zip = "/example.com/big/@v/v0.1.0.zip"
	for _, test := range []struct {
		name   string
		change func(file string, good, bad []byte) error
		status int
	}{
		{"untouched", func(string, []byte, []byte) error { return nil }, 200},
		{"another file", func(file string, _, bad []byte) error { return replace(file, bad) }, 503},
		{"written over", func(file string, _, bad []byte) error { return os.WriteFile(file, bad, 0o644) }, 503},
		{"cut", func(file string, good, _ []byte) error { return os.WriteFile(file, good[:len(good)/2], 0o644) }, 503},
		{"gone", func(file string, _, _ []byte) error { return os.Remove(file) }, 503},
		{"a directory", func(file string, _, _ []byte) error {
			return replaceBy(file, func() error { return os.Mkdir(file, 0o755) })
		}, 503},
		{"a link", func(file string, good, _ []byte) error {
			other := file + ".other"
			if err := os.WriteFile(other, good, 0o644); err != nil {
				return err
			}
			return replaceBy(file, func() error { return os.Symlink(other, file) })
		}, 503},
		{"a copy of itself", func(file string, good, _ []byte) error { return replace(file, good) }, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, dir := small(t)
			url := start(t, s)
			_, whole := ask(t, url, "GET", zip)
			layer := layerOf(t, s, "example.com/big@v0.1.0")
			file := filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(layer, "sha256:"))
			good, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			bad := append([]byte(nil), good...)
			bad[len(bad)/2] ^= 1
			if err := test.change(file, good, bad); err != nil {
				t.Fatal(err)
			}
			for range 2 { // what was found is remembered
				for path, want := range map[string]string{zip: whole, "/v2/app/blobs/" + layer: string(good)} {
					resp, body := ask(t, url, "GET", path)
					if resp.StatusCode != test.status || test.status == 200 && body != want {
						t.Errorf("GET %s = %d, %d bytes, want %d", path, resp.StatusCode, len(body), test.status)
					}
				}
			}
			if err := replaceBy(file, func() error { return os.WriteFile(file, good, 0o644) }); err != nil {
				t.Fatal(err)
			}
			if resp, body := ask(t, url, "GET", zip); resp.StatusCode != 200 || body != whole {
				t.Errorf("after the repair: %s", resp.Status)
			}
		})
	}
}

// replace gives another file the name.
func replace(file string, data []byte) error {
	if err := os.WriteFile(file+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

func replaceBy(file string, make func() error) error {
	if err := os.RemoveAll(file); err != nil {
		return err
	}
	return make()
}

// layerOf is the digest of a module's layer.
func layerOf(t *testing.T, s *Server, module string) string {
	t.Helper()
	for _, l := range s.places[0].entries[0].platforms[0].Layers {
		if l.Annotations["dev.goferry.module"] == module {
			return l.Digest.String()
		}
	}
	t.Fatalf("no layer of %s", module)
	return ""
}
