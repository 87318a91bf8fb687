package serve

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/goproxytest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// A world makes bundles of modules that a test invents.
type world struct {
	proxy string // directory of goproxytest's modules
	env   []string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{proxy: filepath.Join(dir, "proxy")}
	if err := os.Mkdir(w.proxy, 0o777); err != nil {
		t.Fatal(err)
	}
	w.env = append(os.Environ(), "GOSUMDB=off", "GOFLAGS=-modcacherw", "GOENV=off", "GOTOOLCHAIN=local",
		"GOPATH="+filepath.Join(dir, "gopath"), "GOMODCACHE="+filepath.Join(dir, "modcache"), "HOME="+dir)
	return w
}

// module adds a module with a file of so many random letters.
func (w *world) module(t testing.TB, path, version string, size int) {
	t.Helper()
	content := make([]byte, size)
	random := rand.New(rand.NewPCG(uint64(size), 1))
	for i := range content {
		content[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[random.IntN(64)]
	}
	text := fmt.Sprintf("-- .mod --\nmodule %s\n-- .info --\n{\"Version\":%q}\n-- go.mod --\nmodule %[1]s\n-- x.go --\npackage x // %[2]s\n-- data --\n%[3]s\n", path, version, content)
	escaped := strings.ReplaceAll(path, "/", "_")
	for c := 'A'; c <= 'Z'; c++ {
		escaped = strings.ReplaceAll(escaped, string(c), "!"+strings.ToLower(string(c)))
	}
	if err := os.WriteFile(filepath.Join(w.proxy, escaped+"_"+version+".txtar"), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// pack makes a bundle of the modules in a layout.
func (w *world) pack(t testing.TB, dir, tag string, modules ...string) {
	t.Helper()
	proxy, err := goproxytest.NewServer(w.proxy, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	store, err := oci.Create(t.Context(), oci.Reference{Transport: oci.TransportLayout, Path: dir}, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = bundle.Pack(t.Context(), store, tag, bundle.PackOptions{
		Modules: modules, Toolchains: []string{"none"}, Platforms: []gomod.Platform{{OS: "linux", Arch: "amd64"}},
		Env: append(w.env, "GOPROXY="+proxy.URL),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// source parses a reference.
func source(t testing.TB, text string) Source {
	t.Helper()
	ref, err := oci.ParseReference(text)
	if err != nil {
		t.Fatal(err)
	}
	return Source{Name: text, Reference: ref}
}

func newServer(t testing.TB, refs ...string) *Server {
	t.Helper()
	var opts Options
	for _, ref := range refs {
		opts.Sources = append(opts.Sources, source(t, ref))
	}
	s, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// small is a server of one bundle of three modules, and the directory of its layout.
func small(t testing.TB) (*Server, string) {
	t.Helper()
	w := newWorld(t)
	w.module(t, "example.com/Upper/sub", "v1.0.0", 10)
	w.module(t, "example.com/Upper/sub", "v1.1.0", 10)
	w.module(t, "example.com/big", "v0.1.0", 300_000)
	dir := filepath.Join(t.TempDir(), "app")
	w.pack(t, dir, "v1", "example.com/Upper/sub@v1.0.0", "example.com/Upper/sub@v1.1.0", "example.com/big@v0.1.0")
	return newServer(t, "oci:"+dir), dir
}

// ask sends a request with the path as it is written, and headers as "Name: value".
func ask(t testing.TB, url, method, path string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + path
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func start(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
