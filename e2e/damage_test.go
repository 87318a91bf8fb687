package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestDamage holds that every kind of damage to a layout is found by verify, that a damaged module is called by its name, and
// that unpack leaves nothing behind that looks like a success.
func TestDamage(t *testing.T) {
	f := packModules(t)
	index := readJSON[ocispec.Index](t, f.dir, f.digest)
	manifest := index.Manifests[0].Digest.String()
	config := readJSON[ocispec.Manifest](t, f.dir, manifest).Config.Digest.String()
	layer, module := moduleLayer(t, f.dir, manifest)
	for _, test := range []struct {
		name, digest, says string
		damage             func(t *testing.T, file string)
		code               int
	}{
		{"flipped module", layer, module, flip, 3},
		{"cut module", layer, module, cut, 3},
		{"long module", layer, module, lengthen, 3},
		{"missing module", layer, module, remove, 6},
		{"flipped config", config, "", flip, 3},
		{"missing config", config, "", remove, 6},
		{"flipped manifest", manifest, "", flip, 3},
		{"missing manifest", manifest, "", remove, 6},
		{"flipped index", f.digest, "", flip, 3},
		{"missing index", f.digest, "", remove, 6},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, ref := f.clone(t)
			test.damage(t, blob(dir, test.digest))
			refused(t, test.code, "verify", ref).says(t, test.says)
			target := filepath.Join(tempDir(t), "site")
			refused(t, test.code, "unpack", anybody, ref, target)
			if _, err := os.Lstat(filepath.Join(target, "current")); err == nil {
				t.Error("unpack of a damaged bundle left a current generation")
			}
		})
	}
}

// TestDamageIsNotCarried holds that copy neither reports success over a damaged source nor tags what it copied of it.
func TestDamageIsNotCarried(t *testing.T) {
	f := packModules(t)
	layer, _ := moduleLayer(t, f.dir, readJSON[ocispec.Index](t, f.dir, f.digest).Manifests[0].Digest.String())
	dir, ref := f.clone(t)
	flip(t, blob(dir, layer))
	s := startInProcess(t, security{})
	target := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	for _, dst := range []string{target, s.host + "/app:v1"} {
		refused(t, 3, "copy", "--plain-http", ref, dst)
		if r := (command{}).run(t, binary, "verify", "--plain-http", dst); r.code == 0 {
			t.Errorf("verify %s succeeded after a failed copy", dst)
		}
	}
}

// TestDamageIsMended holds that a blob is not trusted because it exists: copying again over a damaged layout repairs it.
func TestDamageIsMended(t *testing.T) {
	f := packModules(t)
	layer, _ := moduleLayer(t, f.dir, readJSON[ocispec.Index](t, f.dir, f.digest).Manifests[0].Digest.String())
	for name, damage := range map[string]func(*testing.T, string){"flip": flip, "cut": cut, "remove": remove} {
		t.Run(name, func(t *testing.T) {
			dir, ref := f.clone(t)
			damage(t, blob(dir, layer))
			goferry(t, "copy", f.ref, ref)
			goferry(t, "verify", ref)
		})
	}
}

func blob(dir, digest string) string {
	return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func readJSON[T any](t *testing.T, dir, digest string) T {
	t.Helper()
	return decode[T](t, blob(dir, digest))
}

func decode[T any](t *testing.T, file string) (v T) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// moduleLayer returns the first layer that holds a module, and the module's name.
func moduleLayer(t *testing.T, dir, manifest string) (digest, module string) {
	t.Helper()
	for _, layer := range readJSON[ocispec.Manifest](t, dir, manifest).Layers {
		if module := layer.Annotations["dev.goferry.module"]; module != "" {
			return layer.Digest.String(), module
		}
	}
	t.Fatal("no layer has the annotation dev.goferry.module")
	return "", ""
}

// writable opens a blob for damage: layouts may be read-only.
func writable(t *testing.T, file string) *os.File {
	t.Helper()
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// flip changes one bit in the middle.
func flip(t *testing.T, file string) {
	t.Helper()
	f := writable(t, file)
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, info.Size()/2); err != nil {
		t.Fatal(err)
	}
}

func cut(t *testing.T, file string)      { t.Helper(); resize(t, file, -1) }
func lengthen(t *testing.T, file string) { t.Helper(); resize(t, file, +1) }

func resize(t *testing.T, file string, by int64) {
	t.Helper()
	f := writable(t, file)
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(info.Size() + by); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
