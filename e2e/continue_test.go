package e2e

import (
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A cutter lets the answers of a registry through until one has most bytes, then it breaks off, or holds if there is a
// channel to tell. It counts the bytes of blobs that it lets through.
type cutter struct {
	next    http.Handler
	most    int64
	held    chan struct{} // nil to break off
	once    sync.Once
	sent    atomic.Int64
	largest atomic.Int64
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !getsBlob(r) {
		c.next.ServeHTTP(w, r)
		return
	}
	c.next.ServeHTTP(&cutWriter{ResponseWriter: w, cutter: c, request: r}, r)
}

type cutWriter struct {
	http.ResponseWriter
	cutter  *cutter
	request *http.Request
	n       int64
}

func (w *cutWriter) Write(p []byte) (int, error) {
	c := w.cutter
	if length, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); err == nil && length > c.largest.Load() {
		c.largest.Store(length)
	}
	whole := len(p)
	if left := max(c.most-w.n, 0); c.most > 0 && int64(whole) > left {
		p = p[:left]
	}
	n, err := w.ResponseWriter.Write(p)
	w.n += int64(n)
	c.sent.Add(int64(n))
	if err != nil || n == whole {
		return n, err
	}
	if c.held != nil {
		http.NewResponseController(w.ResponseWriter).Flush()
		c.once.Do(func() { close(c.held) })
		<-w.request.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// TestDownloadGoesOn pulls a toolchain over a line that is cut all the time, and once with a kill -9 in the middle of it:
// at most a tenth of it is fetched twice.
func TestDownloadGoesOn(t *testing.T) {
	f := packHello(t)
	registry := newRegistry(t)
	behind := startHandler(t, security{}, registry)
	goferry(t, "copy", "--plain-http", f.ref, behind.host+"/app:v1")
	whole := &cutter{next: registry}
	goferry(t, "copy", "--plain-http", startHandler(t, security{}, whole).host+"/app:v1", layoutRef(t))

	t.Run("cut", func(t *testing.T) {
		c, ref := &cutter{next: registry, most: 8 << 20}, layoutRef(t)
		goferry(t, "copy", "--plain-http", startHandler(t, security{}, c).host+"/app:v1", ref)
		goferry(t, "verify", ref)
		c.notTwice(t, whole.sent.Load())
		other := &cutter{next: registry, most: 8 << 20}
		goferry(t, "unpack", anybody, "--plain-http", startHandler(t, security{}, other).host+"/app:v1", filepath.Join(tempDir(t), "site"))
	})
	t.Run("killed", func(t *testing.T) {
		c, ref := &cutter{next: registry, most: whole.largest.Load() / 2, held: make(chan struct{})}, layoutRef(t)
		host := startHandler(t, security{}, c).host
		cmd, _, stderr := command{}.start(t, binary, "copy", "--jobs", "1", "--plain-http", host+"/app:v1", ref)
		<-c.held
		cmd.Process.Kill()
		if err := cmd.Wait(); err == nil {
			t.Fatalf("goferry copy ended before it was killed\n%s", stderr)
		}
		c.most = 0
		goferry(t, "copy", "--plain-http", host+"/app:v1", ref)
		goferry(t, "verify", ref)
		c.notTwice(t, whole.sent.Load())
		dir, _ := strings.CutSuffix(strings.TrimPrefix(ref, "oci:"), ":v1")
		if left, _ := filepath.Glob(filepath.Join(dir, ".goferry-*")); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	})
}

func (c *cutter) notTwice(t *testing.T, size int64) {
	t.Helper()
	sent := c.sent.Load()
	t.Logf("%d bytes for %d", sent, size)
	if sent > size*11/10 {
		t.Errorf("%d bytes were sent for %d", sent, size)
	}
}

// A cutUpload is a line to a registry that is cut once, in the middle of the first large blob.
type cutUpload struct {
	proxy http.Handler
	after int64
	cut   atomic.Bool
	sent  atomic.Int64
}

func (c *cutUpload) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !uploadsBlob(r) {
		c.proxy.ServeHTTP(w, r)
		return
	}
	cuts := r.ContentLength > c.after && !c.cut.Swap(true)
	body := &countedBody{ReadCloser: r.Body, sent: &c.sent, left: math.MaxInt64}
	if cuts {
		body.left = c.after
	}
	r.Body = body
	c.proxy.ServeHTTP(w, r)
	if cuts {
		panic(http.ErrAbortHandler)
	}
}

type countedBody struct {
	io.ReadCloser
	sent *atomic.Int64
	left int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	b.sent.Add(int64(n))
	return n, err
}

// TestUploadGoesOn pushes a toolchain to each kind of registry over a line that is cut in the middle of it.
func TestUploadGoesOn(t *testing.T) {
	f := packHello(t)
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			behind := kind.start(t, security{})
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind.host})
			proxy.ErrorLog = log.New(io.Discard, "", 0)
			line := &cutUpload{proxy: proxy, after: 20 << 20}
			goferry(t, "copy", "--plain-http", f.ref, startHandler(t, security{}, line).host+"/app:v1")
			if !line.cut.Load() {
				t.Error("nothing was cut")
			}
			t.Logf("%d bytes were sent", line.sent.Load())
			goferry(t, "verify", "--plain-http", behind.host+"/app:v1")
		})
	}
}
