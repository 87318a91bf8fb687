package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/goproxytest"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"
)

const sumdbName = "sum.test"

// sumdbKeys are made once: bundles of different scripts then have the same digest for the same modules.
var sumdbKeys = sync.OnceValues(func() (signer, verifier string) {
	signer, verifier, err := note.GenerateKey(rand.Reader, sumdbName)
	if err != nil {
		panic(err)
	}
	return signer, verifier
})

// serveModules serves the modules of testdata/mod and the script's .gomodproxy, with a
// checksum database that knows all of them, and points the go command there. Of the modules
// named in the script's file .forged the database has another sum; those in .later it records
// when they are asked for; and about refused.test the proxy refuses to ask it.
func serveModules(env *testscript.Env) error {
	dir := filepath.Join(env.WorkDir, ".gomodproxy")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS("testdata/mod")); err != nil {
		return err
	}
	if err := manyModules(env.WorkDir, dir); err != nil {
		return err
	}
	forged, err := os.ReadFile(filepath.Join(env.WorkDir, ".forged"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	proxy, err := goproxytest.NewServer(dir, "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Defer(proxy.Close)

	signer, verifier := sumdbKeys()
	db := sumdb.NewTestServer(signer, func(path, version string) ([]byte, error) {
		if path == grownPath {
			return fmt.Appendf(nil, "%s %s h1:none=\n", path, version), nil
		}
		if strings.Contains(string(forged), path+" "+version) {
			return goSum(proxy.URL, path, version, "/golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip")
		}
		return goSum(proxy.URL, path, version, "")
	})
	later, err := os.ReadFile(filepath.Join(env.WorkDir, ".later"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fill(db, dir, string(later)); err != nil {
		return err
	}
	env.Values["world"].(*world).sumdb = db
	handler, err := both(proxy.URL, sumdb.NewServer(db))
	if err != nil {
		return err
	}
	server := httptest.NewServer(handler)
	env.Defer(server.Close)
	env.Setenv("GOPROXY", server.URL+"/mod")
	env.Setenv("GOSUMDB", verifier)
	return nil
}

// grownPath is the module path of records that nobody asks for.
const grownPath = "grown.example"

func growSumDB(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value("world").(*world)
	w.grown++
	for i := range 300 { // more than fit in a tile
		_, err := w.sumdb.Lookup(context.Background(), module.Version{Path: grownPath, Version: fmt.Sprintf("v1.%d.%d", w.grown, i)})
		ts.Check(err)
	}
}

// both serves the proxy, and below it the checksum database, as proxies do.
func both(proxy string, db http.Handler) (http.Handler, error) {
	target, err := url.Parse(proxy)
	if err != nil {
		return nil, err
	}
	target.Path = ""
	mux := http.NewServeMux()
	mux.Handle("/mod/", httputil.NewSingleHostReverseProxy(target))
	mux.Handle("/mod/sumdb/"+sumdbName+"/", http.StripPrefix("/mod/sumdb/"+sumdbName, db))
	mux.Handle("/mod/sumdb/"+sumdbName+"/lookup/refused.test/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not permitted", http.StatusBadRequest)
	}))
	mux.HandleFunc("/mod/sumdb/"+sumdbName+"/supported", func(http.ResponseWriter, *http.Request) {})
	return mux, nil
}

// fill records every module in order of its name, so that the tree does not depend on who
// asks first. Those that are named in later are recorded when somebody asks.
func fill(db *sumdb.TestServer, dir, later string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".txtar")
		i := strings.LastIndex(name, "_v")
		if i < 0 {
			return fmt.Errorf("%s is not PATH_VERSION.txtar", e.Name())
		}
		path, err := module.UnescapePath(strings.ReplaceAll(name[:i], "_", "/"))
		if err != nil {
			return err
		}
		version, err := module.UnescapeVersion(name[i+1:])
		if err != nil {
			return err
		}
		if strings.Contains(later, path+" "+version) {
			continue
		}
		if _, err := db.Lookup(context.Background(), module.Version{Path: path, Version: version}); err != nil {
			return err
		}
	}
	return nil
}

// manyModules makes a project in the directory app that needs as many modules as the script's
// file .manymodules says.
func manyModules(workDir, proxyDir string) error {
	text, err := os.ReadFile(filepath.Join(workDir, ".manymodules"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	goMod, source := "module example.org/app\n\ngo 1.26.0\n", "package main\n\nfunc main() {}\n"
	for i := range n {
		path := fmt.Sprintf("example.com/m%03d", i)
		goMod += "\nrequire " + path + " v1.0.0\n"
		source = strings.Replace(source, "func", "import _ \""+path+"\"\n\nfunc", 1)
		txt := fmt.Sprintf("-- go.mod --\nmodule %s\n\ngo 1.21\n-- m.go --\npackage m%d\n", path, i)
		if err := os.WriteFile(filepath.Join(proxyDir, fmt.Sprintf("example.com_m%03d_v1.0.0.txtar", i)), []byte(txt), 0o666); err != nil {
			return err
		}
	}
	app := filepath.Join(workDir, "app")
	if err := os.Mkdir(app, 0o777); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(app, "go.mod"), []byte(goMod), 0o666),
		os.WriteFile(filepath.Join(app, "main.go"), []byte(source), 0o666))
}

// goSum returns the lines of go.sum for a module, from what the proxy serves, with the sum of
// another zip where one is named.
func goSum(proxy, path, version, otherZip string) ([]byte, error) {
	escPath, err := module.EscapePath(path)
	if err != nil {
		return nil, err
	}
	escVersion, err := module.EscapeVersion(version)
	if err != nil {
		return nil, err
	}
	base := proxy + "/" + escPath + "/@v/" + escVersion
	mod, err := get(base + ".mod")
	if err != nil {
		return nil, err
	}
	zipURL := base + ".zip"
	if otherZip != "" {
		zipURL = proxy + otherZip
	}
	data, err := get(zipURL)
	if err != nil {
		return nil, err
	}
	modSum, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(mod)), nil })
	if err != nil {
		return nil, err
	}
	sum, err := hashZip(data)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", path, version, sum, modSum), nil
}

func hashZip(data []byte) (string, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return "", err
	}
	var names []string
	files := make(map[string]*zip.File)
	for _, f := range z.File {
		names = append(names, f.Name)
		files[f.Name] = f
	}
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return files[name].Open() })
}

func get(url string) ([]byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, fs.ErrNotExist // the database answers with 404 to just that
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return io.ReadAll(resp.Body)
}
