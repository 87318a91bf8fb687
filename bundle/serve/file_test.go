package serve

import (
	"net/http"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	const zip = "/example.com/big/@v/v0.1.0.zip"
	whole, body := ask(t, url, "GET", zip)
	etag := whole.Header.Get("ETag")
	for _, test := range []struct {
		name, method, path string
		headers            []string
		status             int
		body               string // if not empty
		contentType        string
		cache              string
	}{
		{"list", "GET", "/example.com/!upper/sub/@v/list", nil, 200, "v1.0.0\nv1.1.0\n", "text/plain; charset=utf-8", "no-cache"},
		{"encoded", "GET", "/example.com/%21upper/sub/@v/list", nil, 200, "v1.0.0\nv1.1.0\n", "text/plain; charset=utf-8", "no-cache"},
		{"latest", "GET", "/example.com/!upper/sub/@latest", nil, 200, `{"Version":"v1.1.0"}`, "application/json", "no-cache"},
		{"info", "GET", "/example.com/!upper/sub/@v/v1.0.0.info", nil, 200, `{"Version":"v1.0.0"}`, "application/json", "immutable"},
		{"mod", "GET", "/example.com/!upper/sub/@v/v1.0.0.mod", nil, 200, "module example.com/Upper/sub\n", "text/plain; charset=utf-8", "immutable"},
		{"zip", "GET", zip, nil, 200, body, "application/zip", "immutable"},
		{"head", "HEAD", zip, nil, 200, "", "application/zip", "immutable"},
		{"range", "GET", zip, []string{"Range: bytes=2-9"}, 206, body[2:10], "application/zip", "immutable"},
		{"last bytes", "GET", zip, []string{"Range: bytes=-4"}, 206, body[len(body)-4:], "application/zip", "immutable"},
		{"range behind the end", "GET", zip, []string{"Range: bytes=99999999-"}, 416, "", "", ""},
		{"same range", "GET", zip, []string{"Range: bytes=2-9", "If-Range: " + etag}, 206, body[2:10], "application/zip", "immutable"},
		{"range of another", "GET", zip, []string{"Range: bytes=2-9", `If-Range: "x"`}, 200, body, "application/zip", "immutable"},
		{"not modified", "GET", zip, []string{"If-None-Match: " + etag}, 304, "", "", "immutable"},
		{"page", "GET", "/", nil, 200, "", "text/html; charset=utf-8", "no-cache"},
		{"health", "GET", "/healthz", nil, 200, "ok\n", "text/plain; charset=utf-8", "no-cache"},
		{"environment", "GET", "/goferry/env.json", nil, 200, `{"sumdb":"off","noSumDB":"none"}` + "\n", "application/json", "no-cache"},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, body := ask(t, url, test.method, test.path, test.headers...)
			h := resp.Header
			if resp.StatusCode != test.status || test.body != "" && body != test.body {
				t.Errorf("%s %s = %d, %.80q, want %d, %.80q", test.method, test.path, resp.StatusCode, body, test.status, test.body)
			}
			if test.contentType != "" && h.Get("Content-Type") != test.contentType || !strings.Contains(h.Get("Cache-Control"), test.cache) {
				t.Errorf("Content-Type %q, Cache-Control %q, want %q, %q", h.Get("Content-Type"), h.Get("Cache-Control"), test.contentType, test.cache)
			}
		})
	}
	if whole.ContentLength != int64(len(body)) || len(body) < 200_000 || !strings.HasPrefix(body, "PK") {
		t.Errorf("zip: Content-Length %d, %d bytes: %.4q", whole.ContentLength, len(body), body)
	}
	resp, parts := ask(t, url, "GET", zip, "Range: bytes=0-3,10-13")
	if resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Type"), "multipart/byteranges") ||
		!strings.Contains(parts, body[:4]) || !strings.Contains(parts, body[10:14]) {
		t.Errorf("two ranges = %d, %v, %q", resp.StatusCode, resp.Header, parts)
	}
}

func TestNotFound(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	for _, test := range []struct{ path, want string }{
		{"/example.com/none/@v/v1.0.0.zip", "not found: example.com/none@v1.0.0 is in none of: " + s.Bundles()[0] + "\n"},
		{"/example.com/@v/list", "not found: example.com is in none of: " + s.Bundles()[0] + "\n"},
		{"/example.com/!upper/sub/@v/v1.2.0.info", "\nof example.com/Upper/sub there are: v1.1.0, v1.0.0\n"},
		{"/example.com/!upper/sub/@v/main.info", "not found: example.com/Upper/sub@main is in none of"},
		{"/example.com/Upper/sub/@v/list", "; in the address of a module !x stands for X\n"},
		{"/sumdb/sum.test/supported", `not found: "sumdb/sum.test/supported" is no file of a module`},
		{"/robots.txt", `not found: "robots.txt" is no file of a module`},
	} {
		resp, body := ask(t, url, "GET", test.path)
		if resp.StatusCode != 404 || !strings.Contains(body, test.want) || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("GET %s = %d, %q, want 404, %q", test.path, resp.StatusCode, body, test.want)
		}
	}
}

func TestBadPaths(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	for _, test := range []struct {
		path   string
		status int
	}{
		{"/../etc/passwd", 400},
		{"/example.com/../example.com/big/@v/list", 400},
		{"/%2e%2e/%2e%2e/etc/passwd", 400},
		{"/example.com/%2E%2E/x", 400},
		{"/./example.com/big/@v/list", 400},
		{"//example.com/big/@v/list", 400},
		{"/example.com//big/@v/list", 400},
		{"/example.com/big%2f@v/list", 400},
		{"/example.com/big/@v/v0.1.0%00.zip", 400},
		{"/example.com/big/@v/v0.1.0%0d%0a.zip", 400},
		{`/example.com\big/@v/list`, 400},
		{"/example.com%5cbig/@v/list", 400},
		{"/example.com/%ff/@v/list", 400},
		{"/" + strings.Repeat("a/", maxPath), 400},
		{"/example.com/Upper/sub/@v/list", 404},
		{"/example.com/!Upper/sub/@v/list", 404},
		{"/example.com/big/@v/", 404},
		{"/example.com/big/@v/list/", 404},
		{"/@v/list", 404},
		{"/@latest", 404},
		{"/goferry", 404},
	} {
		resp, body := ask(t, url, "GET", test.path)
		if resp.StatusCode != test.status || strings.Contains(body, "goroutine") {
			t.Errorf("GET %q = %d, %q, want %d", test.path, resp.StatusCode, body, test.status)
		}
	}
}

func TestReadOnly(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "X"} {
		resp, _ := ask(t, url, method, "/example.com/big/@v/list")
		if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s = %d, Allow %q", method, resp.StatusCode, resp.Header.Get("Allow"))
		}
	}
}
