package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/tools/txtar"
)

// A corpus is the modules that the go command is tested with, most of them odd in some way, as
// a GOPROXY with a checksum database of its own.
type corpus struct {
	dir     string // GOPROXY on disk
	url     string // the same, served with the checksum database
	sumdb   string // GOSUMDB
	modules []module.Version

	gocache, telemetry string // directories
}

// serveCorpus writes and serves the modules as cmd/go/proxy_test.go does. Of those that the
// database cannot have, since a file is missing, it has no record.
func serveCorpus(t *testing.T) *corpus {
	t.Helper()
	from := filepath.Join(goEnv(t, "GOROOT"), "src", "cmd", "go", "testdata", "mod")
	names, err := filepath.Glob(filepath.Join(from, "*_v*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		corpusMissing(t, from)
	}
	telemetry, err := noTelemetry()
	if err != nil {
		t.Fatal(err)
	}
	c := &corpus{dir: t.TempDir(), gocache: goEnv(t, "GOCACHE"), telemetry: telemetry}
	for _, name := range names {
		c.add(t, name)
	}
	c.addGOROOTs(t)
	c.addLatest(t)
	files := httptest.NewServer(http.StripPrefix("/mod", http.FileServer(http.Dir(c.dir))))
	t.Cleanup(files.Close)
	signer, verifier := sumdbKeys()
	db := sumdb.NewTestServer(signer, func(path, version string) ([]byte, error) {
		return goSum(files.URL+"/mod", path, version, "")
	})
	for _, m := range c.modules {
		db.Lookup(context.Background(), m) // so that the order of the records is always the same
	}
	handler, err := both(files.URL, sumdb.NewServer(db))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c.url, c.sumdb = server.URL+"/mod", verifier
	return c
}

// corpusMissing ends a test for which the GOROOT is too small: those of the distributions of
// some systems have no tests.
func corpusMissing(t *testing.T, dir string) {
	t.Helper()
	if os.Getenv("GOFERRY_E2E_REQUIRE") != "" {
		t.Fatalf("%s has no modules: use a GOROOT with the go command's tests", dir)
	}
	t.Skipf("%s has no modules", dir)
}

// add writes the module of one txtar file, unless its name is none of a module.
func (c *corpus) add(t *testing.T, name string) {
	t.Helper()
	base := strings.TrimSuffix(filepath.Base(name), ".txt")
	i := strings.LastIndex(base, "_v")
	path, err := module.UnescapePath(strings.ReplaceAll(base[:i], "_", "/"))
	if err != nil {
		return
	}
	version, err := module.UnescapeVersion(base[i+1:])
	if err != nil {
		t.Fatal(err)
	}
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, module.Version{Path: path, Version: version}, archive.Files)
}

func (c *corpus) write(t *testing.T, m module.Version, files []txtar.File) {
	t.Helper()
	name := filepath.Join(c.dir, filepath.FromSlash(corpusName(t, m)))
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	files = append(files, txtar.File{Name: ".zip", Data: corpusZip(t, m, files)})
	for _, f := range files {
		if slices.Contains([]string{".info", ".mod", ".zip"}, f.Name) {
			if err := os.WriteFile(name+f.Name, f.Data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.list(filepath.Dir(name), m); err != nil {
		t.Fatal(err)
	}
	c.modules = append(c.modules, m)
}

// list adds a version to the list of its module.
func (c *corpus) list(dir string, m module.Version) error {
	f, err := os.OpenFile(filepath.Join(dir, "list"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if isListed(m.Path, m.Version) {
		_, err = fmt.Fprintln(f, m.Version)
	}
	return err
}

// addLatest writes the answers to @latest.
func (c *corpus) addLatest(t *testing.T) {
	t.Helper()
	for path, list := range versions(c.modules) {
		name := corpusName(t, module.Version{Path: path, Version: latestOf(list)})
		dir, _, _ := strings.Cut(name, "/@v/")
		info, err := os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(name)+".info"))
		if err == nil {
			err = os.WriteFile(filepath.Join(c.dir, filepath.FromSlash(dir), "@latest"), info, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// corpusZip makes the zip of a module. A name that begins with a slash is one outside of the
// module's prefix.
func corpusZip(t *testing.T, m module.Version, files []txtar.File) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		if slices.Contains([]string{".info", ".mod", ".zip"}, f.Name) {
			continue
		}
		name, outside := strings.CutPrefix(f.Name, "/")
		if !outside {
			name = m.String() + "/" + name
		}
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
