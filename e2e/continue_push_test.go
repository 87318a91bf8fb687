package e2e

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// A heldUpload is a line to a registry that holds once it has carried so many bytes of blobs, until the client is gone.
type heldUpload struct {
	proxy http.Handler
	after int64
	held  chan struct{}
	once  sync.Once
	sent  atomic.Int64
}

func (h *heldUpload) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if uploadsBlob(r) {
		r.Body = &heldBody{r.Body, h, r}
	}
	h.proxy.ServeHTTP(w, r)
}

type heldBody struct {
	io.ReadCloser
	line    *heldUpload
	request *http.Request
}

func (b *heldBody) Read(p []byte) (int, error) {
	if b.line.after > 0 && b.line.sent.Load() >= b.line.after {
		b.line.once.Do(func() { close(b.line.held) })
		io.Copy(io.Discard, b.ReadCloser) // only who reads is told that the client is gone
		<-b.request.Context().Done()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), 64<<10)])
	b.line.sent.Add(int64(n))
	return n, err
}

// TestUploadGoesOnLater pushes a toolchain to each kind of registry and is killed in the middle of it. Where the registry
// keeps what it has got, at most a tenth of it is sent twice by the next run.
func TestUploadGoesOnLater(t *testing.T) {
	f := packContainer(t)
	size := diskUse(t, f.dir)
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			behind := kind.start(t, security{})
			proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind.host})
			proxy.ErrorLog = log.New(io.Discard, "", 0)
			line := &heldUpload{proxy: proxy, after: 50 << 20, held: make(chan struct{})}
			ref := startHandler(t, security{}, line).host + "/app:v1"
			cmd, _, stderr := command{}.start(t, binary, "copy", "--jobs", "1", "--plain-http", f.ref, ref)
			<-line.held
			cmd.Process.Kill()
			if err := cmd.Wait(); err == nil {
				t.Fatalf("goferry copy ended before it was killed\n%s", stderr)
			}
			line.after = 0
			goferry(t, "copy", "--plain-http", f.ref, ref)
			goferry(t, "verify", "--plain-http", behind.host+"/app:v1")
			sent := line.sent.Load()
			t.Logf("%d bytes were sent for %d", sent, size)
			if kind.name == "distribution-v3" && sent > size*11/10 {
				t.Errorf("%d bytes were sent for %d", sent, size)
			}
		})
	}
}

// TestUploadThroughShortConnections pushes a toolchain over a line whose connections end after 24 MiB.
func TestUploadThroughShortConnections(t *testing.T) {
	f := packContainer(t)
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			behind := kind.start(t, security{})
			line := startLine(t, behind.host, 24<<20)
			goferry(t, "copy", "--plain-http", f.ref, line.host+"/app:v1")
			goferry(t, "verify", "--plain-http", behind.host+"/app:v1")
			t.Logf("%d bytes were sent for %d", line.up.Load(), diskUse(t, f.dir))
		})
	}
}
