package oci

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci/harbortest"
)

// pushModules pushes a bundle for two platforms with the same layers, and a layer and a config of each one's own.
func pushModules(t testing.TB, s Store, modules ...string) ocispec.Descriptor {
	t.Helper()
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex}
	index.SchemaVersion = 2
	for _, arch := range []string{"amd64", "arm64"} {
		m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
		m.SchemaVersion = 2
		for _, module := range append(modules, fmt.Sprint("graph of ", modules)) {
			layer, _ := pushLayer(t, s, module)
			m.Layers = append(m.Layers, layer)
		}
		platform := ocispec.Platform{OS: "linux", Architecture: arch}
		m.Config = pushJSON(t, s, ocispec.MediaTypeImageConfig, ocispec.Image{Platform: platform, Author: fmt.Sprint(modules)})
		child := pushJSON(t, s, ocispec.MediaTypeImageManifest, m)
		child.Platform = &platform
		index.Manifests = append(index.Manifests, child)
	}
	return pushJSON(t, s, ocispec.MediaTypeImageIndex, index)
}

func moduleNames(from, to int) (names []string) {
	for i := from; i < to; i++ {
		names = append(names, fmt.Sprint("module ", i))
	}
	return names
}

// twoVersions is a layout with v1 of 300 modules, and v2 of which three are new.
func twoVersions(t testing.TB) Store {
	t.Helper()
	src := mustCreate(t, t.TempDir())
	t.Cleanup(func() { src.Close() })
	mustTag(t, src, pushModules(t, src, moduleNames(0, 300)...), "v1")
	mustTag(t, src, pushModules(t, src, moduleNames(3, 303)...), "v2")
	return src
}

// TestNextVersionAsksLittle holds what the next version of a large bundle costs.
func TestNextVersionAsksLittle(t *testing.T) {
	src := twoVersions(t)
	for _, tag := range []string{"v2", "v1"} { // a new tag, and the same again
		harbor, ref, opts := startHarbor(t, harbortest.Harbor{})
		for _, version := range []string{"v1", "v2"} {
			harbor.Forget()
			dst := mustDo(Create(t.Context(), ref, opts))
			to := version
			if version == "v2" {
				to = tag
			}
			mustDo(Copy(t.Context(), src, version, dst, to, CopyOptions{}))
			mustClose(t, dst)
		}
		t.Logf("v2 under %s took %d requests", tag, len(harbor.Requests()))
		if n := len(harbor.Requests()); n >= 25 {
			t.Errorf("v2 under %s took %d requests:\n%s", tag, n, strings.Join(harbor.Requests(), "\n"))
		}
		s := mustDo(Open(t.Context(), ref, opts))
		defer s.Close()
		g := mustDo(Walk(t.Context(), s, mustDo(s.Resolve(t.Context(), tag))))
		for _, desc := range g.Blobs {
			if ok, err := s.Exists(t.Context(), desc); !ok || err != nil {
				t.Errorf("Exists(%s) = %v, %v", desc.Digest, ok, err)
			}
		}
	}
}

// TestLostBlobsArePushedAgain holds that what a registry has lost is found out, whether the tag has an older version or
// this one.
func TestLostBlobsArePushedAgain(t *testing.T) {
	src := twoVersions(t)
	lost, _ := pushLayer(t, src, "module 200")
	for _, version := range []string{"v1", "v2"} {
		harbor, ref, opts := startHarbor(t, harbortest.Harbor{})
		dst := mustDo(Create(t.Context(), ref, opts))
		defer dst.Close()
		mustDo(Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}))
		harbor.Lose(ref.Repository, string(lost.Digest))
		mustDo(Copy(t.Context(), src, version, dst, version, CopyOptions{}))
		if ok, err := dst.Exists(t.Context(), lost); !ok || err != nil {
			t.Errorf("%s: Exists = %v, %v", version, ok, err)
		}
	}
}

// TestCollectedChildrenArePushedAgain holds that a garbage collection between the children and their index costs nothing
// but them.
func TestCollectedChildrenArePushedAgain(t *testing.T) {
	src := mustCreate(t, t.TempDir())
	defer src.Close()
	root := pushModules(t, src, "a", "b")
	mustTag(t, src, root, "v1")
	harbor := harbortest.New(harbortest.Harbor{})
	var once sync.Once
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && r.Header.Get("Content-Type") == ocispec.MediaTypeImageIndex {
			once.Do(harbor.CollectGarbage)
		}
		harbor.ServeHTTP(w, r)
	}))
	defer srv.Close()
	opts := testOptions(t)
	opts.PlainHTTP = true
	dst := mustDo(Create(t.Context(), referenceTo(srv), opts))
	defer dst.Close()
	if _, err := Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if g, err := Walk(t.Context(), dst, root); err != nil || len(g.Documents) != 3 {
		t.Errorf("Walk = %v, %v", g, err)
	}
	puts := slices.DeleteFunc(harbor.Requests(), func(r string) bool { return !strings.HasPrefix(r, "PUT /v2/team/bundle/manifests/sha256:") })
	if len(puts) != 5 {
		t.Errorf("want each child twice, and the index: %q", puts)
	}
}

// TestChildrenAreNotBelieved holds that a child which an index names is pushed if it is not there: some registries take
// an index without.
func TestChildrenAreNotBelieved(t *testing.T) {
	src := mustCreate(t, t.TempDir())
	defer src.Close()
	root := pushModules(t, src, "a", "b")
	mustTag(t, src, root, "v2")
	lost := manifestsOf(t, src, root)[0]
	sparse := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: manifestsOf(t, src, root)[:1]}
	sparse.SchemaVersion = 2
	mustTag(t, src, pushJSON(t, src, ocispec.MediaTypeImageIndex, sparse), "v1")
	var gone atomic.Bool
	ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if gone.Load() && r.Method != http.MethodPut && strings.HasSuffix(r.URL.Path, string(lost.Digest)) {
				refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "it was never there")
				return
			}
			if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, string(lost.Digest)) {
				gone.Store(false)
			}
			next.ServeHTTP(w, r)
		})
	})
	dst := mustDo(Create(t.Context(), ref, opts))
	defer dst.Close()
	mustDo(Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}))
	gone.Store(true)
	mustDo(Copy(t.Context(), src, "v2", dst, "v2", CopyOptions{}))
	if gone.Load() {
		t.Error("the child was not pushed")
	}
}

// TestSurveyOfNonsense holds that what stands in the way of a survey does not stand in the way of the copy.
func TestSurveyOfNonsense(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"no manifest":   func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "nonsense") },
		"no digest":     func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Docker-Content-Digest", "sha256:x") },
		"policy":        func(w http.ResponseWriter, r *http.Request) { refuse(w, 412, "PROJECTPOLICYVIOLATION", "unsigned") },
		"an error":      func(w http.ResponseWriter, r *http.Request) { refuse(w, 400, "UNKNOWN", "no") },
		"lost children": func(w http.ResponseWriter, r *http.Request) { serveIndexOf(w, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/tags/list"):
						fmt.Fprint(w, `{"tags":["v0"]}`)
					case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/"):
						asked.Add(1)
						serve(w, r)
					default:
						next.ServeHTTP(w, r)
					}
				})
			})
			src := mustCreate(t, t.TempDir())
			defer src.Close()
			mustTag(t, src, pushModules(t, src, "a", "b"), "v1")
			dst := mustDo(Create(t.Context(), ref, opts))
			defer dst.Close()
			if _, err := Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}); err != nil {
				t.Error(err)
			}
			if n := asked.Load(); n == 0 || n > 20 {
				t.Errorf("%d manifests were asked for", n)
			}
		})
	}
}

func serveIndexOf(w http.ResponseWriter, n int) {
	entry := `{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"sha256:` + hex64 + `","size":1}`
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[%s]}`, entry+strings.Repeat(","+entry, n-1))
}

func TestMostLike(t *testing.T) {
	for _, tt := range []struct{ tags, tag, want string }{
		{"", "v1", ""},
		{"v1", "v2", "v1"},
		{"latest v1 v2", "v2", "v2"},
		{"latest v1.2.9 v1.2.10 v1.10.0", "v1.2.11", "v1.2.10"},
		{"v1.2.8 v1.2.9", "v1.2.10", "v1.2.9"},
		{"sha256-00.sig sha256-11", "v1", ""},
		{"2026-11-14 2026-11-07 latest", "2026-11-21", "2026-11-14"},
		{"latest", "", "latest"},
	} {
		if got := mostLike(strings.Fields(tt.tags), tt.tag); got != tt.want {
			t.Errorf("mostLike(%q, %q) = %q, want %q", tt.tags, tt.tag, got, tt.want)
		}
	}
}
