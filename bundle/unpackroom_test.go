package bundle

import (
	"archive/zip"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goferry/goferry/oci"
)

// What is said to be needed is nearly all that is written, and not more, extracted or not, of a layout.
func TestUnpackNeed(t *testing.T) {
	c := captured(t)
	dir := t.TempDir()
	const text = "package big // so that there is something to inflate\n"
	for i := range c.Toolchains {
		c.Toolchains[i].Module.Size = rewriteZip(t, c.Toolchains[i].Module.Zip, "bin/big.go", strings.Repeat(text, 60_000))
	}
	big := testModule(t, dir, "example.com/big", "v1.0.0")
	big.Size = rewriteZip(t, big.Zip, "big.go", strings.Repeat(text, 60_000))
	c.Modules = slices.Insert(c.Modules, 1, big)
	single, _ := packTest(t, c, t.TempDir())
	grouped := layout(t, t.TempDir())
	packBudget(t, grouped, c, 3, "")
	for _, s := range []oci.Store{single, grouped} {
		for _, extract := range []bool{false, true} {
			checkNeed(t, s, extract)
		}
	}
}

func checkNeed(t *testing.T, s oci.Store, extract bool) {
	t.Helper()
	u, err := newUnpacker(alone(verifyTest(t, s)), UnpackOptions{Platform: linux, Extract: extract})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if u.tree, err = openTree(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	g, err := u.tree.next()
	if err == nil {
		err = u.prepare(t.Context(), g)
	}
	need := u.need(t.Context())
	u.tree.close()
	if err != nil {
		t.Fatal(err)
	}
	unpackTest(t, s, root, extract)
	bytes, files := treeSize(t, filepath.Join(root, "generations"))
	if need.Bytes > bytes || need.Bytes < bytes*9/10 || need.Files > files {
		t.Errorf("extract %v: %d bytes and %d files are needed, and %d and %d were written", extract, need.Bytes, need.Files, bytes, files)
	}
}

// rewriteZip adds a file to the zip of testModule or testToolchain, and returns its size.
func rewriteZip(t *testing.T, name, file, content string) int64 {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	prefix, _, _ := strings.Cut(z.File[0].Name, "@")
	version, _, _ := strings.Cut(strings.TrimPrefix(z.File[0].Name, prefix), "/")
	files := []zipFile{{prefix + version + "/" + file, content}}
	for _, f := range z.File {
		data, err := fs.ReadFile(z, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, zipFile{f.Name, string(data)})
	}
	data := makeZip(t, files...)
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return int64(len(data))
}

func treeSize(t *testing.T, dir string) (bytes, files int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		bytes, files = bytes+info.Size(), files+1
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, files
}
