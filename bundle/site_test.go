package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// siteBundles are two bundles: captured, and one with a newer version of a module of it and with another
// one of which it has only the go.mod file.
func siteBundles(t testing.TB) (one, two SiteBundle) {
	t.Helper()
	s1, _ := packTest(t, captured(t), t.TempDir())
	c := captured(t)
	c.Modules = []gomod.Module{testModule(t, t.TempDir(), "example.com/Upper/sub", "v1.1.0"), testModule(t, t.TempDir(), "example.com/tool", "v1.0.0")}
	c.GraphOnly, c.Toolchains, c.GoVersion, c.Projects = nil, nil, "", nil
	s2 := layout(t, t.TempDir())
	if _, err := packFor(t.Context(), s2, c, []gomod.Platform{linux}, ""); err != nil {
		t.Fatal(err)
	}
	return SiteBundle{"one", verifyTest(t, s1)}, SiteBundle{"two", verifyTest(t, s2)}
}

func openSite(t testing.TB, bundles ...SiteBundle) *Site {
	t.Helper()
	s, err := OpenSite(t.Context(), bundles, SiteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readSite(t testing.TB, s *Site, name string) []byte {
	t.Helper()
	f, ok := s.File(name)
	if !ok {
		t.Fatalf("the site has no %s", name)
	}
	r, err := f.Open(t.Context())
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if f, _ = s.File(name); err != nil || int64(len(data)) != f.Size {
		t.Fatalf("%s has %d bytes, %v, want %d", name, len(data), err, f.Size)
	}
	return data
}

// The toolchain that is a GOROOT is a module as well, whose zip is made when it is asked for, once.
func TestSiteToolchain(t *testing.T) {
	one, _ := siteBundles(t)
	s := openSite(t, one)
	const name = "golang.org/toolchain/@v/v0.0.1-go1.26.8.linux-arm64"
	if f, ok := s.File(name + ".zip"); !ok || f.Size != -1 {
		t.Fatalf("File = %+v, %v, want one of unknown size", f, ok)
	}
	readSite(t, s, name+".info")
	readSite(t, s, name+".mod")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			data := readSite(t, s, name+".zip")
			m := module.Version{Path: toolchainPath, Version: path.Base(name)}
			sum, err := zipSum(m, bytes.NewReader(data), int64(len(data)))
			if !slices.ContainsFunc(s.Record().Toolchains, func(r RecordModule) bool { return r.Sum == sum }) {
				t.Errorf("the zip has the sum %s, %v, which is none of the record", sum, err)
			}
		})
	}
	wg.Wait()
	next, err := OpenSite(t.Context(), []SiteBundle{one}, SiteOptions{Previous: s})
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := next.File(name + ".zip"); f.Size < 0 {
		t.Error("the next site would make the zip again")
	}
}

// Bundles are one tree, the same in any order.
func TestSite(t *testing.T) {
	one, two := siteBundles(t)
	s, again := openSite(t, one, two), openSite(t, two, one)
	for name, want := range map[string]string{
		"example.com/!upper/sub/@v/list":        "v1.1.0\nv1.2.0\n",
		"example.com/!upper/sub/@latest":        `{"Version":"v1.2.0"}`,
		"example.com/tool/@v/list":              "v1.0.0\n",
		"example.com/tool/@latest":              `{"Version":"v1.0.0"}`,
		"example.com/!upper/sub/@v/v1.1.0.info": `{"Version":"v1.1.0"}`,
		"example.com/!upper/sub/@v/v1.2.0.mod":  "module example.com/Upper/sub\n",
	} {
		if got := string(readSite(t, s, name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
		f, _ := s.File(name)
		if want := strings.HasSuffix(name, ".info") || strings.HasSuffix(name, ".mod"); f.Immutable != want {
			t.Errorf("%s: Immutable is %v", name, f.Immutable)
		}
	}
	if len(s.files) != len(again.files) {
		t.Errorf("%d files, and %d in the other order", len(s.files), len(again.files))
	}
	for name, f := range s.files {
		if other, ok := again.File(name); !ok || other.ETag != f.ETag || !bytes.Equal(readSite(t, s, name), readSite(t, again, name)) {
			t.Errorf("%s is something else in the other order", name)
		}
	}
	if _, ok := s.File("example.com/!upper/sub/@v/v1.2.0.ziphash"); ok {
		t.Error("there is a .ziphash")
	}
	record, err := s.Record().encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseRecord(record); err != nil {
		t.Errorf("the record: %v\n%s", err, record)
	}
}

// The lists for people have what is in which bundle.
func TestSiteLists(t *testing.T) {
	one, two := siteBundles(t)
	s := openSite(t, one, two)
	var got []string
	for _, m := range s.Modules() {
		for _, v := range m.Versions {
			got = append(got, m.Path+"@"+v.Version+" "+strings.Join(v.Bundles, "+"))
			if v.Size == 0 || v.Sum == "" {
				t.Errorf("%s@%s: %+v, want size and sum", m.Path, v.Version, v)
			}
		}
	}
	want := []string{
		"example.com/Upper/sub@v1.1.0 one+two", "example.com/Upper/sub@v1.2.0 one",
		"example.com/tool@v0.0.0-20260102030405-0123456789ab one", "example.com/tool@v1.0.0 two",
	}
	if !slices.Equal(got, want) {
		t.Errorf("modules %q, want %q", got, want)
	}
	if ts := s.Toolchains(); len(ts) != 2 || ts[0].GoVersion != "go1.26.8" || ts[0].Platform != linux || ts[1].Platform.Arch != "arm64" || ts[0].Size == 0 {
		t.Errorf("toolchains %+v", ts)
	}
}

// A zip is the same whole and in parts, through net/http, from a layout, an archive and a registry.
func TestSiteZip(t *testing.T) {
	src, _ := packTest(t, captured(t), t.TempDir())
	archive := oci.Reference{Transport: oci.TransportArchive, Path: filepath.Join(t.TempDir(), "a.tar")}
	a, err := oci.Create(t.Context(), archive, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Copy(t.Context(), src, "v1", a, "v1", oci.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err = oci.Open(t.Context(), archive, oci.Options{}); err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	const name = "example.com/!upper/sub/@v/v1.2.0.zip"
	want, err := os.ReadFile(captured(t).Modules[0].Zip)
	if err != nil {
		t.Fatal(err)
	}
	for place, store := range map[string]oci.Store{"layout": src, "archive": a, "registry": streamStore{src}} {
		t.Run(place, func(t *testing.T) {
			s := openSite(t, SiteBundle{place, verifyTest(t, store)})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				f, _ := s.File(name)
				z, err := f.Open(r.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer z.Close()
				http.ServeContent(w, r, name, time.Time{}, z)
			}))
			defer server.Close()
			for ranges, want := range map[string][]byte{"": want, "bytes=0-9": want[:10], "bytes=5-": want[5:], "bytes=-7": want[len(want)-7:], "bytes=3-3": want[3:4]} {
				req, _ := http.NewRequest("GET", server.URL, nil)
				if ranges != "" {
					req.Header.Set("Range", ranges)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q: %d bytes, %v, want %d", ranges, len(got), err, len(want))
				}
			}
			var b bytes.Buffer
			f, _ := s.File(name)
			z, err := f.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			if _, err := io.Copy(&b, z); err != nil || !bytes.Equal(b.Bytes(), want) {
				t.Errorf("io.Copy: %d bytes, %v, want %d", b.Len(), err, len(want))
			}
		})
	}
}

// streamStore hands out blobs as a registry does: once, from the beginning.
type streamStore struct{ oci.Store }

func (s streamStore) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := s.Store.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	return struct{ io.ReadCloser }{rc}, nil
}

// A registry that sends other bytes than it did at the beginning does not get to the end of a zip.
func TestSiteZipChanged(t *testing.T) {
	src, _ := packTest(t, captured(t), t.TempDir())
	lying := &lyingStore{streamStore: streamStore{src}}
	s := openSite(t, SiteBundle{"registry", verifyTest(t, lying)})
	f, _ := s.File("example.com/!upper/sub/@v/v1.2.0.zip")
	lying.lies = true
	for _, offset := range []int64{0, 5} {
		z, err := f.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if _, err := z.Seek(offset, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(z); !errors.Is(err, ErrMismatch) || int64(len(data)) >= f.Size-offset {
			t.Errorf("from %d: %d bytes of %d, %v, want ErrMismatch before the end", offset, len(data), f.Size, err)
		}
	}
}

// lyingStore sends a wrong last byte of every blob, once it lies.
type lyingStore struct {
	streamStore
	lies    bool
	fetched atomic.Int64
}

func (s *lyingStore) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	s.fetched.Add(1)
	rc, err := s.streamStore.Fetch(ctx, desc)
	if err != nil || !s.lies {
		return rc, err
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	data[len(data)-1] ^= 1
	return struct{ io.ReadCloser }{io.NopCloser(bytes.NewReader(data))}, err
}

// What a site has proven is not read again for the next one.
func TestSitePrevious(t *testing.T) {
	src, _ := packTest(t, captured(t), t.TempDir())
	store := &lyingStore{streamStore: streamStore{src}}
	b := SiteBundle{"one", verifyTest(t, store)}
	before := openSite(t, b)
	store.lies = true
	store.fetched.Store(0)
	after, err := OpenSite(t.Context(), []SiteBundle{b}, SiteOptions{Previous: before})
	if err != nil || store.fetched.Load() != 0 {
		t.Fatalf("OpenSite: %v, fetched %d blobs, want 0", err, store.fetched.Load())
	}
	if len(after.files) != len(before.files) {
		t.Errorf("%d files, want %d", len(after.files), len(before.files))
	}
	if _, err := OpenSite(t.Context(), []SiteBundle{b}, SiteOptions{}); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "one: example.com/tool@") {
		t.Errorf("without Previous: %v, want ErrMismatch that names bundle and module", err)
	}
}
