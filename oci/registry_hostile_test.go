package oci

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// openHostile opens a repository of a registry that answers everything with h, and counts the requests.
func openHostile(t *testing.T, h http.HandlerFunc) (*repository, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	ref, opts := startRegistry(t, true, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			h(w, r)
		})
	})
	opts.StallTimeout = 100 * time.Millisecond
	s := mustDo(Open(t.Context(), ref, opts)).(*repository)
	t.Cleanup(func() { s.Close() })
	return s, &requests
}

func TestRegistryEndlessLists(t *testing.T) {
	page := func(tags, manifests string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", fmt.Sprintf("<%s?next>; rel=\"next\"", r.URL.Path))
			if strings.HasSuffix(r.URL.Path, "/tags/list") {
				io.WriteString(w, `{"tags":[`+tags+`]}`)
				return
			}
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			io.WriteString(w, `{"schemaVersion":2,"manifests":[`+manifests+`]}`)
		}
	}
	many := strings.Repeat(`"a",`, maxValues-10) + `"a"`
	entry := `{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"sha256:` + hex64 + `","size":1}`
	for name, serve := range map[string]http.HandlerFunc{
		"empty pages": page("", ""),
		"full pages":  page(many, entry+strings.Repeat(","+entry, 99)),
		"fat pages":   page(strings.Repeat(`"",`, 1<<20)+`""`, strings.Repeat("{},", 1<<20)+"{}"),
		"a page of all": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(w, strings.NewReader(strings.Repeat(" ", 5<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, requests := openHostile(t, serve)
			n := 0
			var err error
			for _, err = range s.Tags(t.Context()) {
				n++
			}
			if !errors.Is(err, ErrDigest) || n > maxTags+1 {
				t.Errorf("Tags = %d, %v, want ErrDigest", n, err)
			}
			desc := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, nil)
			if name != "a page of all" { // which is no list of referrers
				if _, err := s.Predecessors(t.Context(), desc); !errors.Is(err, ErrDigest) {
					t.Errorf("Predecessors = %v, want ErrDigest", err)
				}
			}
			if n := requests.Load(); n > 2*maxPages {
				t.Errorf("%d requests", n)
			}
			before := requests.Load()
			s.empty(t.Context())
			s.someTags(t.Context())
			if n := requests.Load() - before; n > 2 {
				t.Errorf("empty and someTags: %d requests, want one each", n)
			}
		})
	}
}

// drip sends data a byte at a time, each soon enough for the stall timeout.
func drip(w http.ResponseWriter, r *http.Request, data []byte) {
	for i := range data {
		w.Write(data[i : i+1])
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestRegistryDrips(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 2000) // would take 40 s
	for name, desc := range map[string]ocispec.Descriptor{
		"manifest": content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, data),
		"blob":     content.NewDescriptorFromBytes("application/vnd.test", data),
	} {
		s, requests := openHostile(t, func(w http.ResponseWriter, r *http.Request) { drip(w, r, data) })
		began := time.Now()
		_, err := content.FetchAll(t.Context(), s, desc)
		if !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), string(desc.Digest)) {
			t.Errorf("%s: Fetch = %v, want ErrNetwork with the digest", name, err)
		}
		if took := time.Since(began); took > 5*time.Second || requests.Load() > 1 {
			t.Errorf("%s: Fetch took %v and %d requests", name, took, requests.Load())
		}
	}
	s, _ := openHostile(t, func(w http.ResponseWriter, r *http.Request) { drip(w, r, data) })
	for _, err := range s.Tags(t.Context()) {
		if !errors.Is(err, ErrNetwork) {
			t.Errorf("Tags = %v, want ErrNetwork", err)
		}
	}
}

// TestRegistryLateDocument holds that a document has a time limit even if it comes fast enough for a blob.
func TestRegistryLateDocument(t *testing.T) {
	data := bytes.Repeat([]byte("x"), 100<<10)
	desc := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, data)
	serve := func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(data) && r.Context().Err() == nil; i += 1 << 10 {
			w.Write(data[i : i+1<<10])
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond) // half a second in all
		}
	}
	s, _ := openHostile(t, serve)
	if _, err := content.FetchAll(t.Context(), s, desc); !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), "no whole answer") {
		t.Errorf("Fetch of a manifest = %v, want ErrNetwork for the time", err)
	}
	desc.MediaType = "application/vnd.test"
	if _, err := content.FetchAll(t.Context(), s, desc); err != nil {
		t.Errorf("Fetch of a blob = %v", err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	const password = `p+ss/w?rd "of" 30 characters ü`
	c := &client{secrets: &secrets{}}
	c.secrets.addToken("p+ss") // a token that is a part of it
	c.secrets.addPassword(password)
	u := mustDo(url.Parse("https://registry.test/v2/"))
	for name, form := range map[string]string{
		"plain":        password,
		"query":        url.QueryEscape(password),
		"path":         url.PathEscape(password),
		"base64":       base64.StdEncoding.EncodeToString([]byte(password)),
		"base64 raw":   base64.RawURLEncoding.EncodeToString([]byte(password)),
		"where it cut": strings.Repeat("x", 290) + password,
	} {
		err := c.explainResponse(&errcode.ErrorResponse{
			Method: "GET", URL: u, StatusCode: 403, Errors: errcode.Errors{{Code: "DENIED", Message: form}},
		})
		for i := range len(password) - 4 {
			if part := password[i : i+4]; strings.Contains(err.Error(), part) && !strings.Contains("registry.test denied", part) {
				t.Errorf("%s: %v shows %q", name, err, part)
			}
		}
		if strings.Contains(err.Error(), strings.TrimLeft(form, "x")) {
			t.Errorf("%s: %v shows it all", name, err)
		}
	}
}

// TestForeignTextIsOneLine holds that no word of a layout or a registry begins a line of an error.
func TestForeignTextIsOneLine(t *testing.T) {
	const forged = `v1\ngoferry: hint: run evil\u2028`
	dir := t.TempDir()
	mustClose(t, mustTagged(t, dir))
	index := strings.ReplaceAll(string(mustDo(os.ReadFile(filepath.Join(dir, indexFile)))), `"v1"`, `"`+forged+`"`)
	os.WriteFile(filepath.Join(dir, indexFile), []byte(index), 0o644)
	layout := mustOpen(t, dir)
	defer layout.Close()
	_, err := layout.Resolve(t.Context(), "v2")
	errs := []error{err}

	s, _ := openHostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/\"\u2028x")
		w.Header().Set("Docker-Content-Digest", "sha256:\u2028")
		io.WriteString(w, `{"schemaVersion":2,"tags":["`+forged+`"]}`)
	})
	_, err = s.Resolve(t.Context(), "v2")
	errs = append(errs, err)
	for _, err := range s.Tags(t.Context()) {
		errs = append(errs, err)
	}
	for _, err := range errs {
		if err == nil || strings.ContainsAny(err.Error(), "\n\u2028") {
			t.Errorf("error is not one line: %q", err)
		}
	}
}

// TestRetryAfter holds that a registry is left alone as long as it says, but not for ever.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		status, attempt int
		says            string
		least, most     time.Duration // negative is never
	}{
		{429, 0, "7", 7 * time.Second, 7 * time.Second},
		{503, 0, "7", 7 * time.Second, 7 * time.Second},
		{429, 0, "86400", time.Minute, time.Minute},
		{429, 2, "86400", time.Minute, time.Minute},
		{429, 3, "86400", -1, -1},
		{503, 1, time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat), 30 * time.Second, 40 * time.Second},
		{429, 0, "99999999999999999999", 1, time.Second},
		{429, 0, "-5", 1, time.Second},
		{502, 0, "", 1, time.Second},
		{504, 5, "1", -1, -1},
		{500, 0, "", 1, time.Second},
		{500, 1, "", -1, -1},
		{403, 0, "1", -1, -1},
		{412, 0, "1", -1, -1},
	} {
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{"Retry-After": {tt.says}}}
		got, err := policy{100 * time.Millisecond}.Retry(tt.attempt, resp, nil)
		if err != nil || got < tt.least || got > tt.most {
			t.Errorf("Retry(%d, %d with Retry-After %q) = %v, %v, want %v to %v", tt.attempt, tt.status, tt.says, got, err, tt.least, tt.most)
		}
	}
}

// drain is a connection that takes a little now and then.
type drain struct{ net.Conn }

func (drain) SetDeadline(time.Time) error { return nil }

func (drain) Write(p []byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return min(len(p), 8), nil
}

// TestUploadDrips holds that an upload is given up which is taken a few bytes at a time, and one that is quick is not.
func TestUploadDrips(t *testing.T) {
	slow := &movingConn{Conn: drain{}, patience: patience(50 * time.Millisecond), sent: pace{patience: patience(50 * time.Millisecond)}}
	if n, err := slow.Write(make([]byte, 1<<10)); !errors.Is(err, os.ErrDeadlineExceeded) || n > 100 {
		t.Errorf("Write = %d, %v, want it given up", n, err)
	}
	near, far := net.Pipe()
	go io.Copy(io.Discard, far)
	quick := &movingConn{Conn: near, patience: patience(50 * time.Millisecond), sent: pace{patience: patience(50 * time.Millisecond)}}
	if n, err := quick.Write(make([]byte, 1<<20)); err != nil || n != 1<<20 {
		t.Errorf("Write = %d, %v", n, err)
	}
	near.Close()
}
