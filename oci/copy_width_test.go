package oci

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A crowd is a registry that answers uploads only once so many of them are asked for.
type crowd struct {
	next http.Handler
	wait int

	mu             sync.Mutex
	inFlight, most int
	enough         chan struct{}
	once           sync.Once
	busy           atomic.Bool // 429, once
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.busy.Swap(false) {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/blobs/uploads/") {
		c.enter()
		select {
		case <-c.enough:
		case <-r.Context().Done():
		}
		c.leave() // before the client has the answer, and asks for more
	}
	c.next.ServeHTTP(w, r)
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inFlight++; c.inFlight == c.wait {
		c.once.Do(func() { close(c.enough) })
	}
	c.most = max(c.most, c.inFlight)
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
}

// TestBlobsInFlight holds that many small blobs go at once, and fewer if they are large, the registry says that it is
// asked too much, or the user says so.
func TestBlobsInFlight(t *testing.T) {
	for name, tt := range map[string]struct {
		size, jobs, want int
		busy             bool
	}{
		"small":   {want: smallConcurrency},
		"large":   {size: smallBlob, want: concurrency},
		"busy":    {busy: true, want: concurrency},
		"said so": {jobs: 3, want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			src := mustCreate(t, t.TempDir())
			defer src.Close()
			m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: pushJSON(t, src, ocispec.MediaTypeImageConfig, ocispec.Image{Author: strings.Repeat("a", tt.size)})}
			m.SchemaVersion = 2
			for i := range 2 * smallConcurrency {
				layer, _ := pushLayer(t, src, string(rune('a'+i))+strings.Repeat("a", tt.size))
				m.Layers = append(m.Layers, layer)
			}
			mustTag(t, src, pushJSON(t, src, ocispec.MediaTypeImageManifest, m), "v1")
			c := &crowd{next: newRegistry(true, nil), wait: tt.want, enough: make(chan struct{})}
			c.busy.Store(tt.busy)
			ref, opts := startRegistry(t, true, func(http.Handler) http.Handler { return c })
			dst := mustDo(Create(ctx, ref, opts))
			defer dst.Close()
			if _, err := Copy(ctx, src, "v1", dst, "v1", CopyOptions{Concurrency: tt.jobs}); err != nil {
				t.Fatal(err)
			}
			if c.most != tt.want {
				t.Errorf("%d uploads at once, want %d", c.most, tt.want)
			}
		})
	}
}
