package e2e

import (
	"net/http"
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
		goferry(t, "unpack", "--plain-http", startHandler(t, security{}, other).host+"/app:v1", filepath.Join(tempDir(t), "site"))
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
