package serve

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goferry/goferry/bundle"
)

func TestPage(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	resp, body := ask(t, url, "GET", "/")
	env, err := bundle.ProxyEnv(url, "off", "none", bundle.Sh)
	if err != nil {
		t.Fatal(err)
	}
	text := html.UnescapeString(body)
	for _, want := range []string{
		`data-copy="` + strings.TrimSuffix(env, "\n") + `"`,
		`data-copy="go get example.com/Upper/sub@v1.1.0"`,
		`href="/example.com/!upper/sub/@v/v1.1.0.mod"`,
		`<output id="count" for="q" aria-live="polite">3 of 3<`,
		"goferry copy --plain-http " + strings.TrimPrefix(url, "http://") + "/app:v1 oci:bundle",
	} {
		if !strings.Contains(text, want) && !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(body, "Dockerfile") {
		t.Error("the page has a Dockerfile, and no bundle a toolchain")
	}
	for _, policy := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(resp.Header.Get("Content-Security-Policy"), policy) {
			t.Errorf("Content-Security-Policy %q, want %s in it", resp.Header.Get("Content-Security-Policy"), policy)
		}
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if address := html.UnescapeString(m[1]); strings.HasPrefix(address, "/") {
			if resp, _ := ask(t, url, "GET", address); resp.StatusCode != http.StatusOK {
				t.Errorf("the page leads to %s, which is %d", address, resp.StatusCode)
			}
		}
	}
	etag := resp.Header.Get("ETag")
	if resp, _ := ask(t, url, "GET", "/", "If-None-Match: "+etag); etag == "" || resp.StatusCode != http.StatusNotModified {
		t.Errorf("ETag %q: %d, want 304", etag, resp.StatusCode)
	}
}

func TestPageQuery(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	for query, want := range map[string]int{"": 3, "upper": 2, "UPPER%20v1.1": 1, "nothing": 0, "%3Cscript%3E": 0} {
		_, body := ask(t, url, "GET", "/?q="+query)
		if got := strings.Count(body, "<tr data-name="); got != want || strings.Contains(body, "<script>") {
			t.Errorf("?q=%s lists %d modules, want %d", query, got, want)
		}
	}
}

// Nothing that a stranger chooses becomes a part of the page.
func TestPageStrangers(t *testing.T) {
	w := newWorld(t)
	w.module(t, "example.com/m", "v1.0.0", 1)
	dir := filepath.Join(t.TempDir(), `<img src=x onerror="alert(1)">`)
	w.pack(t, dir, "v1", "example.com/m@v1.0.0")
	src := source(t, "oci:"+dir)
	src.Repository = "app"
	s, err := New(t.Context(), Options{Sources: []Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	url := start(t, s)
	for _, host := range []string{"", `"><script>alert(1)</script>`, "a b", "javascript:alert(1)", "host:123456", "[::1", "x`id`"} {
		r, err := http.NewRequest("GET", url+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		d, err := s.current.pageData(r)
		if err != nil {
			t.Fatal(err)
		}
		if d.Host != "localhost" {
			t.Errorf("Host %q becomes %q", host, d.Host)
		}
	}
	if _, body := ask(t, url, "GET", "/"); strings.Contains(body, "<img") || strings.Contains(body, `"alert`) {
		t.Error("the name of a directory becomes an element")
	}
}

func TestHumanSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 9_960: "10 kB", 999_400: "999 kB", 999_600: "1.0 MB", 71_680_185: "72 MB", 1 << 40: "1.1 TB", 1 << 62: "4611686 TB"} {
		if got := humanSize(n); got != want {
			t.Errorf("humanSize(%d) = %q, want %q", n, got, want)
		}
	}
}

// What a client may send does not make a page costlier than others: its words are cut, and pages wait for each other.
func TestPageIsBounded(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	_, usual := ask(t, url, "GET", "/?q=big")
	_, long := ask(t, url, "GET", "/?q="+strings.Repeat("v+", 20_000))
	if len(long) > len(usual)+10*maxQuery {
		t.Errorf("page for a long query: %d bytes, another has %d", len(long), len(usual))
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = strings.Repeat("h", 60_000)
	rec := httptest.NewRecorder()
	if s.ServeHTTP(rec, r); rec.Body.Len() > 2*len(usual) {
		t.Errorf("page for a long host: %d bytes", rec.Body.Len())
	}
	for range maxPages {
		s.pages <- struct{}{}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	rec = httptest.NewRecorder()
	if s.ServeHTTP(rec, httptest.NewRequest("GET", "/", nil).WithContext(gone)); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("one page too many: %d", rec.Code)
	}
	if resp, _ := ask(t, url, "GET", "/example.com/big/@v/list"); resp.StatusCode != http.StatusOK {
		t.Errorf("a list beside many pages: %s", resp.Status)
	}
	<-s.pages
	if resp, _ := ask(t, url, "GET", "/"); resp.StatusCode != http.StatusOK {
		t.Errorf("a page after another: %s", resp.Status)
	}
}
