package sumdb

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/dirhash"
)

// A real go command without go.sum checks modules against the files alone, and
// refuses one that is not what the database recorded.
func TestGoCommand(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 300)
	tree := map[string][]byte{}
	real := map[string]string{}
	mods := []string{"example.com/real@v1.0.0", "example.com/Other@v1.2.3"}
	for _, m := range mods {
		real[m] = publish(t, tree, m)
	}
	s.records = func(path, version string) string { return real[path+"@"+version] }
	db := s.open(t, "", nil)
	for _, m := range mods {
		path, version, _ := strings.Cut(m, "@")
		sum, modSum, err := db.Lookup(t.Context(), path, version)
		if err != nil || !strings.Contains(real[m], sum) || !strings.Contains(real[m], modSum) {
			t.Fatalf("Lookup(%s) = %s, %s, %v", m, sum, modSum, err)
		}
	}
	for name, data := range files(t, db) {
		tree["sumdb/"+dbName+"/"+name] = data
	}
	s.Close()
	if out, err := download(t, s.key, tree, mods...); err != nil {
		t.Errorf("go mod download: %v\n%s", err, out)
	}
	if out, err := download(t, s.key, tree, mods[1]); err != nil {
		t.Errorf("go mod download of one alone: %v\n%s", err, out)
	}
	publish(t, tree, mods[0], "changed")
	if out, err := download(t, s.key, tree, mods...); err == nil || !strings.Contains(out, "SECURITY ERROR") {
		t.Errorf("go mod download of a changed module: %v\n%s", err, out)
	}
}

// publish adds a module to a proxy tree, and returns its record.
func publish(t *testing.T, tree map[string][]byte, m string, text ...string) string {
	t.Helper()
	path, version, _ := strings.Cut(m, "@")
	goMod := "module " + path + "\n"
	var z bytes.Buffer
	w := zip.NewWriter(&z)
	content := map[string]string{"go.mod": goMod, "x.go": "package x // " + strings.Join(text, "") + "\n"}
	var names []string
	for _, name := range []string{"go.mod", "x.go"} {
		f, err := w.Create(m + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, content[name])
		names = append(names, m+"/"+name)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := lookupFile(path, version)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.Replace(strings.TrimPrefix(file, "lookup/"), "@", "/@v/", 1)
	tree[base+".info"] = []byte(`{"Version":"` + version + `"}`)
	tree[base+".mod"], tree[base+".zip"] = []byte(goMod), z.Bytes()
	hash := func(names []string) string {
		sum, err := dirhash.Hash1(names, func(name string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content[strings.TrimPrefix(name, m+"/")])), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	return fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", path, version, hash(names), path, version, hash([]string{"go.mod"}))
}

// download runs "go mod download" in a fresh place that knows only the tree.
func download(t *testing.T, key string, tree map[string][]byte, mods ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, filepath.Join(dir, "proxy"), tree)
	writeTree(t, dir, map[string][]byte{"work/go.mod": []byte("module example.com/work\n")})
	cmd := exec.Command("go", append([]string{"mod", "download"}, mods...)...)
	cmd.Dir = filepath.Join(dir, "work")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SystemRoot=" + os.Getenv("SystemRoot"), "HOME=" + dir, "USERPROFILE=" + dir, "GOENV=off", "GOTELEMETRY=off",
		"GOPATH=" + filepath.Join(dir, "gopath"), "GOCACHE=" + filepath.Join(dir, "cache"), "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local",
		"GOPROXY=file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/") + "/proxy", "GOSUMDB=" + key, "GOVCS=*:off",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
