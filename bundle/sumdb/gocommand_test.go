package sumdb

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
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

// A go command that has used the tree of one bundle goes on with that of the next, and with both
// laid together, in any order, if the next was packed since the first; otherwise it does not.
func TestGoCommandMeetsNewerHead(t *testing.T) {
	s := newTestDB(t)
	proxy, real := map[string][]byte{}, map[string]string{}
	old, new := "example.com/old@v1.0.0", "example.com/new@v1.0.0"
	for _, m := range []string{old, new} {
		real[m] = publish(t, proxy, m)
	}
	s.records = func(path, version string) string { return real[path+"@"+version] }
	pack := func(m string, since ...[]byte) map[string][]byte {
		path, version, _ := strings.Cut(m, "@")
		db, err := New(Options{GOSUMDB: s.key, GOPROXY: s.URL, Since: since})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.Lookup(t.Context(), path, version); err != nil {
			t.Fatal(err)
		}
		return files(t, db)
	}
	s.grow(t, "example.com/before", 300)
	a := pack(old)
	s.grow(t, "example.com/between", 700)
	b, without := pack(new, a["latest"]), pack(new)
	s.Close()

	use := func(gopath string, mod string, sets ...map[string][]byte) string {
		t.Helper()
		tree := maps.Clone(proxy)
		for _, set := range sets {
			for name, data := range set {
				tree["sumdb/"+dbName+"/"+name] = data
			}
		}
		out, err := downloadAgain(t, gopath, s.key, tree, strings.Fields(mod)...)
		if err == nil {
			return ""
		}
		return out
	}
	for _, test := range []struct {
		name  string
		steps func(gopath string) string
		want  string // in what the go command says
	}{
		{"the first, then the next", func(p string) string { return use(p, old, a) + use(p, new, b) }, ""},
		{"the first, then the next without since", func(p string) string { return use(p, old, a) + use(p, new, without) }, "tile/8/"},
		{"the next, then the first alone", func(p string) string { return use(p, new, b) + use(p, old, a) }, "tile/8/"},
		{"the first, then both", func(p string) string { return use(p, old, a) + use(p, new, a, b) + use(p, old, a, b) }, ""},
		{"the next, then both", func(p string) string { return use(p, new, b) + use(p, old, b, a) + use(p, new, b, a) }, ""},
		{"both, old first", func(p string) string { return use(p, old, a, b) + use(p, new, a, b) }, ""},
		{"both, new first", func(p string) string { return use(p, new, a, b) + use(p, old, a, b) }, ""},
		{"both at once", func(p string) string { return use(p, old+" "+new, a, b) }, ""},
		{"both without since", func(p string) string { return use(p, old+" "+new, a, without) }, "tile/8/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if out := test.steps(t.TempDir()); (out == "") != (test.want == "") || !strings.Contains(out, test.want) {
				t.Errorf("go mod download says %q, want %q", out, test.want)
			}
		})
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
	return downloadAgain(t, t.TempDir(), key, tree, mods...)
}

// downloadAgain runs "go mod download" where nothing is remembered but, in gopath, the tree head
// that was seen last.
func downloadAgain(t *testing.T, gopath, key string, tree map[string][]byte, mods ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	writeTree(t, filepath.Join(dir, "proxy"), tree)
	writeTree(t, dir, map[string][]byte{
		"work/go.mod":               []byte("module example.com/work\n"),
		".config/go/telemetry/mode": []byte("off"), // else the go command leaves a process that writes there when the test has ended
	})
	cmd := exec.Command("go", append([]string{"mod", "download"}, mods...)...)
	cmd.Dir = filepath.Join(dir, "work")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "SystemRoot=" + os.Getenv("SystemRoot"), "HOME=" + dir, "USERPROFILE=" + dir, "GOENV=off",
		"GOPATH=" + gopath, "GOMODCACHE=" + filepath.Join(dir, "mod"), "GOCACHE=" + filepath.Join(dir, "cache"), "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local",
		"GOPROXY=file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/") + "/proxy", "GOSUMDB=" + key, "GOVCS=*:off",
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
