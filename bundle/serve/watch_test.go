package serve

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A watched server is polled by the test, which is told what happens.
type watched struct {
	*Server
	url     string
	renewed int
	failed  []error
	now     time.Time
}

func watch(t testing.TB, opts oci.Options, refs ...string) *watched {
	t.Helper()
	w := &watched{now: time.Now()}
	o := Options{Registry: opts, Renewed: func([]string) { w.renewed++ }, Failed: func(err error) { w.failed = append(w.failed, err) }}
	for _, ref := range refs {
		o.Sources = append(o.Sources, source(t, ref))
	}
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w.Server, w.url = s, start(t, s)
	return w
}

// settle polls as often as it takes to see a change and to see that it is over.
func (w *watched) settle(t testing.TB) {
	for range 3 {
		w.now = w.now.Add(2 * time.Minute)
		w.poll(t.Context(), w.now)
	}
}

func (w *watched) versions(t testing.TB) string {
	t.Helper()
	_, body := ask(t, w.url, "GET", "/example.com/m/@v/list")
	return strings.Join(strings.Fields(body), " ")
}

// modules is a world with three versions of a module.
func modules(t testing.TB) (w *world, dir string) {
	w = newWorld(t)
	for _, v := range []string{"v1.0.0", "v1.1.0", "v1.2.0"} {
		w.module(t, "example.com/m", v, 200_000)
	}
	return w, filepath.Join(t.TempDir(), "app")
}

func TestRenewLayout(t *testing.T) {
	world, dir := modules(t)
	world.pack(t, dir, "v1", "example.com/m@v1.0.0")
	w := watch(t, oci.Options{}, "oci:"+dir)
	world.pack(t, dir, "v2", "example.com/m@v1.1.0")
	w.settle(t)
	if got := w.versions(t); got != "v1.0.0 v1.1.0" || w.renewed != 1 {
		t.Errorf("with another tag: %s, renewed %d times", got, w.renewed)
	}
	world.pack(t, dir, "v1", "example.com/m@v1.2.0")
	w.settle(t)
	if got := w.versions(t); got != "v1.1.0 v1.2.0" || w.renewed != 2 {
		t.Errorf("with a replaced tag: %s, renewed %d times", got, w.renewed)
	}
	w.settle(t)
	if w.renewed != 2 || len(w.failed) > 0 {
		t.Errorf("renewed %d times, %v", w.renewed, w.failed)
	}
	if resp, _ := ask(t, w.url, "GET", "/v2/app/manifests/v2"); resp.StatusCode != http.StatusOK {
		t.Errorf("the new tag: %s", resp.Status)
	}
	untag(t, dir, "v2")
	w.settle(t)
	if got := w.versions(t); got != "v1.2.0" {
		t.Errorf("without a tag: %s", got)
	}
}

// untag takes a tag out of index.json, as other tools do.
func untag(t testing.TB, dir, tag string) {
	t.Helper()
	name := filepath.Join(dir, "index.json")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), `"org.opencontainers.image.ref.name":"`+tag+`"`, `"x":"y"`, 1)
	if text == string(data) {
		t.Fatalf("no tag %s in %s", tag, data)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What does not verify is not served, is told once, and does not harm what is served.
func TestRenewRefused(t *testing.T) {
	world, dir := modules(t)
	world.pack(t, dir, "v1", "example.com/m@v1.0.0")
	w := watch(t, oci.Options{}, "oci:"+dir)
	before, zip := ask(t, w.url, "GET", "/example.com/m/@v/v1.0.0.zip")

	world.pack(t, dir, "v2", "example.com/m@v1.1.0")
	store, err := oci.Open(t.Context(), source(t, "oci:"+dir).Reference, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	v, err := bundle.Verify(t.Context(), store, "v2", bundle.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	layer := filepath.Join(dir, "blobs", "sha256", v.Platforms[0].Layers[0].Digest.Encoded())
	good, err := os.ReadFile(layer)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]byte(nil), good...)
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(layer, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	w.settle(t)
	w.settle(t)
	if len(w.failed) != 1 || !errors.Is(w.failed[0], bundle.ErrMismatch) || !strings.Contains(w.failed[0].Error(), ":v2") || w.renewed != 0 {
		t.Errorf("told %v, renewed %d times, want one mismatch", w.failed, w.renewed)
	}
	if got := w.versions(t); got != "v1.0.0" {
		t.Errorf("served: %s", got)
	}
	if after, body := ask(t, w.url, "GET", "/example.com/m/@v/v1.0.0.zip"); body != zip || after.Header.Get("ETag") != before.Header.Get("ETag") {
		t.Error("the zip that was served before is another one")
	}

	// It is tried again, and told as good.
	if err := os.WriteFile(layer, good, 0o644); err != nil {
		t.Fatal(err)
	}
	w.settle(t)
	if got := w.versions(t); got != "v1.0.0 v1.1.0" || w.renewed != 1 {
		t.Errorf("after the repair: %s, renewed %d times", got, w.renewed)
	}
}

// A layout that goes away leaves what is in memory, and comes back as whatever it is then.
func TestRenewGone(t *testing.T) {
	world, dir := modules(t)
	world.pack(t, dir, "v1", "example.com/m@v1.0.0")
	other := filepath.Join(t.TempDir(), "other")
	world.module(t, "example.com/other", "v1.0.0", 10)
	world.pack(t, other, "v1", "example.com/other@v1.0.0")
	w := watch(t, oci.Options{}, "oci:"+dir, "oci:"+other)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w.settle(t)
	if len(w.failed) != 1 || !strings.Contains(w.failed[0].Error(), dir+" is gone") {
		t.Errorf("told %v, want that it is gone", w.failed)
	}
	for path, want := range map[string]int{
		"/example.com/m/@v/list": 200, "/example.com/m/@v/v1.0.0.mod": 200, "/v2/app/manifests/v1": 200,
		"/example.com/m/@v/v1.0.0.zip": 503, "/example.com/other/@v/v1.0.0.zip": 200,
	} {
		resp, body := ask(t, w.url, "GET", path)
		if resp.StatusCode != want || want == 503 && !strings.Contains(body, "not available now") {
			t.Errorf("GET %s = %d, %.60q, want %d", path, resp.StatusCode, body, want)
		}
	}
	// The others go on meanwhile.
	world.module(t, "example.com/other", "v1.1.0", 10)
	world.pack(t, other, "v2", "example.com/other@v1.1.0")
	w.settle(t)
	if resp, _ := ask(t, w.url, "GET", "/example.com/other/@v/v1.1.0.zip"); resp.StatusCode != 200 {
		t.Errorf("another layout's new tag: %s", resp.Status)
	}
	world.pack(t, dir, "v1", "example.com/m@v1.1.0")
	w.settle(t)
	if resp, _ := ask(t, w.url, "GET", "/example.com/m/@v/v1.1.0.zip"); resp.StatusCode != 200 || w.versions(t) != "v1.1.0" {
		t.Errorf("back again: %s, %s", resp.Status, w.versions(t))
	}
}

// An archive may be replaced by another file, or, if it must be, in place.
func TestRenewArchive(t *testing.T) {
	world, dir := modules(t)
	world.pack(t, dir, "v1", "example.com/m@v1.0.0")
	world.pack(t, dir, "v2", "example.com/m@v1.1.0")
	world.pack(t, dir, "v3", "example.com/m@v1.2.0")
	file := filepath.Join(t.TempDir(), "app.tar")
	archive := func(tag, file string) {
		t.Helper()
		src, err := oci.Open(t.Context(), source(t, "oci:"+dir).Reference, oci.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		dst, err := oci.Create(t.Context(), source(t, "oci-archive:"+file).Reference, oci.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = oci.Copy(t.Context(), src, tag, dst, "v1", oci.CopyOptions{})
		if err := errors.Join(err, dst.Close()); err != nil {
			t.Fatal(err)
		}
	}
	archive("v1", file)
	w := watch(t, oci.Options{}, "oci-archive:"+file)
	archive("v2", file)
	if resp, _ := ask(t, w.url, "GET", "/example.com/m/@v/v1.0.0.zip"); resp.StatusCode != 200 {
		t.Errorf("before the renewal: %s", resp.Status)
	}
	w.settle(t)
	if got := w.versions(t); got != "v1.1.0" {
		t.Errorf("replaced: %s", got)
	}
	archive("v3", file+"2")
	data, err := os.ReadFile(file + "2")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if resp, _ := ask(t, w.url, "GET", "/example.com/m/@v/v1.1.0.zip"); resp.StatusCode != 503 {
		t.Errorf("written over, before the renewal: %s", resp.Status)
	}
	w.settle(t)
	if got := w.versions(t); got != "v1.2.0" || len(w.failed) > 0 {
		t.Errorf("written over: %s, %v", got, w.failed)
	}
}

// A registry is asked for its tag now and then; what it had stays while it is away.
func TestRenewRegistry(t *testing.T) {
	world, dir := modules(t)
	world.pack(t, dir, "v1", "example.com/m@v1.0.0")
	first := watch(t, oci.Options{}, "oci:"+dir)
	away := new(atomic.Bool)
	url := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusForbidden)
			return
		}
		first.ServeHTTP(w, r)
	}))
	w := watch(t, oci.Options{PlainHTTP: true}, strings.TrimPrefix(url, "http://")+"/app:v1")
	away.Store(true)
	w.settle(t)
	if len(w.failed) != 1 || w.versions(t) != "v1.0.0" {
		t.Errorf("away: %v, %s", w.failed, w.versions(t))
	}
	away.Store(false)
	world.pack(t, dir, "v1", "example.com/m@v1.1.0")
	first.settle(t)
	w.settle(t)
	if got := w.versions(t); got != "v1.1.0" || w.renewed != 1 {
		t.Errorf("moved: %s, renewed %d times", got, w.renewed)
	}
}

// While a tag is replaced over and over every answer is right: one of the two states, never a mixture, never an error.
func TestRenewUnderLoad(t *testing.T) {
	world, dir := modules(t)
	world.pack(t, dir, "v1", "example.com/m@v1.0.0")
	w := watch(t, oci.Options{}, "oci:"+dir)
	_, zip := ask(t, w.url, "GET", "/example.com/m/@v/v1.0.0.zip")
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got := w.versions(t); got != "v1.0.0" && got != "v1.0.0 v1.1.0" && got != "v1.0.0 v1.2.0" {
					t.Errorf("list = %q", got)
				}
				if resp, body := ask(t, w.url, "GET", "/example.com/m/@v/v1.0.0.zip"); resp.StatusCode != 200 || body != zip {
					t.Errorf("zip = %s, %d bytes", resp.Status, len(body))
				}
				if resp, _ := ask(t, w.url, "GET", "/v2/app/manifests/v1"); resp.StatusCode != 200 {
					t.Errorf("manifest = %s", resp.Status)
				}
			}
		})
	}
	for i := range 6 {
		world.pack(t, dir, "v2", []string{"example.com/m@v1.1.0", "example.com/m@v1.2.0"}[i%2])
		w.settle(t)
	}
	close(done)
	clients.Wait()
	if w.renewed != 6 || len(w.failed) > 0 {
		t.Errorf("renewed %d times, %v", w.renewed, w.failed)
	}
}
