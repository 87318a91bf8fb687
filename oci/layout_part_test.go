package oci

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// leavePart makes the staging directory of a killed process, with the beginning of a blob in it.
func leavePart(t *testing.T, dir string, desc ocispec.Descriptor, data []byte, age time.Duration) {
	t.Helper()
	staging := filepath.Join(dir, stagingPrefix+rand.Text())
	name := filepath.Join(staging, "1-"+desc.Digest.Encoded())
	then := time.Now().Add(-age)
	err := errors.Join(os.Mkdir(staging, 0o755), os.WriteFile(filepath.Join(staging, stagingLock), nil, 0o644),
		os.WriteFile(name, data, 0o644), os.Chtimes(name, then, then))
	if err != nil {
		t.Fatal(err)
	}
}

// largeBundle is a registry with a bundle of one large layer and one small one; other answers the requests for the
// large one. It returns the root and the layers.
func largeBundle(t *testing.T, size int, other func(data []byte) http.Handler) (ref Reference, opts Options, layers []ocispec.Descriptor) {
	t.Helper()
	data, large := randomBlob(size)
	var broken http.Handler
	ref, opts = startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, string(large.Digest)) {
				broken.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	broken = other(data)
	s := mustDo(Create(t.Context(), ref, opts))
	defer s.Close()
	small := []byte("a small layer")
	layers = []ocispec.Descriptor{large, content.NewDescriptorFromBytes(ocispec.MediaTypeImageLayer, small)}
	mustPush(t, s, layers[0], data)
	mustPush(t, s, layers[1], small)
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Layers: layers}
	m.SchemaVersion = 2
	m.Config = pushJSON(t, s, ocispec.MediaTypeImageConfig, ocispec.Image{})
	mustTag(t, s, pushJSON(t, s, ocispec.MediaTypeImageManifest, m), "v1")
	return ref, opts, layers
}

// TestPartIsContinued holds that the next process goes on with what a killed one has left, and does not believe it.
func TestPartIsContinued(t *testing.T) {
	const size = 4 << 20
	data, _ := randomBlob(size)
	garbage := make([]byte, 3<<20)
	for name, tt := range map[string]struct {
		part []byte
		age  time.Duration
		sent int64
	}{
		"a part":     {data[:3<<20], 0, size - 3<<20},
		"all of it":  {data, 0, 1},
		"garbage":    {garbage, 0, size - 3<<20 + size},
		"torn":       {append(data[:2<<20:2<<20], garbage[:1000]...), 0, size - 2<<20 - 1000 + size},
		"too long":   {append(data[:size:size], garbage...), 0, 1},
		"too little": {data[:1000], 0, size},
		"too old":    {data[:3<<20], 2 * partAge, size},
	} {
		t.Run(name, func(t *testing.T) {
			var c *cutting
			ref, opts, layers := largeBundle(t, size, func(data []byte) http.Handler {
				c = &cutting{data: data, most: len(data)}
				return c
			})
			dir := t.TempDir()
			mustClose(t, mustTagged(t, dir))
			leavePart(t, dir, layers[0], tt.part, tt.age)
			src, dst := mustDo(Open(t.Context(), ref, opts)), mustCreate(t, dir)
			defer src.Close()
			var counted atomic.Int64
			if _, err := Copy(t.Context(), src, "v1", dst, "v2", CopyOptions{OnBytes: func(n int64) { counted.Add(n) }}); err != nil {
				t.Fatal(err)
			}
			if ok, err := mustOpen(t, dir).Exists(t.Context(), layers[0]); !ok || err != nil {
				t.Errorf("Exists = %v, %v", ok, err)
			}
			mustClose(t, dst)
			c.running.Wait()
			if n := c.sent.Load(); n != tt.sent {
				t.Errorf("%d bytes were sent, want %d", n, tt.sent)
			}
			if n := counted.Load() - layers[1].Size; n < size || n > size+100 { // with a config
				t.Errorf("%d bytes were counted of %d", n, size)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, stagingPrefix+"*")); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
		})
	}
}

// TestCopyIsContinued holds that a copy which was cut or cancelled keeps what has come, also in a layout that it made,
// and that the next goes on with that.
func TestCopyIsContinued(t *testing.T) {
	const size = 4 << 20
	for _, how := range []string{"cut", "cancelled"} {
		t.Run(how, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var c *cutting
			ref, opts, layers := largeBundle(t, size, func(data []byte) http.Handler {
				c = &cutting{data: data, most: 3 << 20}
				return c
			})
			c.forge = func(w http.ResponseWriter) { w.Header().Set("Content-Range", "none") } // no Range is taken
			src := mustDo(Open(t.Context(), ref, opts))
			defer src.Close()
			dir := filepath.Join(t.TempDir(), "layout")
			dst, want := mustCreate(t, dir), ErrNetwork
			options := CopyOptions{Concurrency: 1}
			if how == "cancelled" {
				want = context.Canceled
				n := 0
				options.OnBytes = func(read int64) {
					if n += int(read); n > 2<<20 {
						cancel()
					}
				}
			}
			if _, err := Copy(ctx, src, "v1", dst, "v1", options); !errors.Is(err, want) {
				t.Fatalf("Copy = %v, want %v", err, want)
			}
			mustClose(t, dst)
			c.running.Wait()
			c.forge, c.most = nil, size
			c.sent.Store(0)

			again := mustCreate(t, dir)
			if _, err := Copy(t.Context(), src, "v1", again, "v1", CopyOptions{}); err != nil {
				t.Fatal(err)
			}
			if ok, err := again.Exists(t.Context(), layers[0]); !ok || err != nil {
				t.Errorf("Exists = %v, %v", ok, err)
			}
			mustClose(t, again)
			if n := c.sent.Load(); n > size-2<<20 {
				t.Errorf("%d bytes were sent again", n)
			}
		})
	}
}

// TestInterruptedCopyKeepsBlobs holds that whole blobs stay in a new layout when the line is cut, and that nothing stays
// when the copy fails for good.
func TestInterruptedCopyKeepsBlobs(t *testing.T) {
	for status, keeps := range map[int]bool{http.StatusServiceUnavailable: true, http.StatusNotFound: false} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			ref, opts, layers := largeBundle(t, 4<<20, func([]byte) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
			})
			src := mustDo(Open(t.Context(), ref, opts))
			defer src.Close()
			dir := filepath.Join(t.TempDir(), "layout")
			dst := mustCreate(t, dir)
			small := Blob{layers[1], func(ctx context.Context) (io.ReadCloser, error) { return src.Fetch(ctx, layers[1]) }}
			if err := Push(t.Context(), dst, "", []Blob{small}, CopyOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}); err == nil {
				t.Fatal("Copy is done")
			}
			mustClose(t, dst)
			if _, err := os.Stat(filepath.Join(dir, blobPath(layers[1].Digest))); (err == nil) != keeps {
				t.Errorf("the whole blob: %v; want it kept: %v", err, keeps)
			}
		})
	}
}
