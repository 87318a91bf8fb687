package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// randomBlob is what no two tests have in common, and no two parts of it.
func randomBlob(size int) ([]byte, ocispec.Descriptor) {
	data := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(data)
	return data, content.NewDescriptorFromBytes("application/vnd.test", data)
}

// cutting is a registry with one blob whose connections carry most bytes each. It counts what it sends.
type cutting struct {
	data     []byte
	most     int
	noRange  bool                        // it knows no ranges and sends all from the start
	early    bool                        // an answer that is cut ends as if it were whole
	silent   bool                        // or never
	forge    func(w http.ResponseWriter) // changes the header of a part
	running  sync.WaitGroup
	requests atomic.Int64
	sent     atomic.Int64
}

func (c *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.running.Add(1)
	defer c.running.Done()
	c.requests.Add(1)
	start, status := 0, http.StatusOK
	if part := r.Header.Get("Range"); part != "" && !c.noRange {
		fmt.Sscanf(part, "bytes=%d-", &start)
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(c.data)-1, len(c.data)))
		if c.forge != nil {
			c.forge(w)
		}
	}
	rest := c.data[start:]
	if !c.early {
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	}
	w.Header().Set("Accept-Ranges", "bytes")
	w.WriteHeader(status)
	n, _ := w.Write(rest[:min(c.most, len(rest))])
	c.sent.Add(int64(n))
	if n == len(rest) || c.early {
		return
	}
	if c.silent {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// pullBlob copies a blob from the registry into a layout.
func pullBlob(t *testing.T, h http.Handler, desc ocispec.Descriptor) error {
	t.Helper()
	ref, opts := startRegistry(t, true, func(http.Handler) http.Handler { return h })
	opts.StallTimeout = 3 * time.Second
	src, dst := mustDo(Open(t.Context(), ref, opts)), mustCreate(t, t.TempDir())
	defer src.Close()
	defer dst.Close()
	rc, err := src.Fetch(t.Context(), desc)
	if err != nil {
		return err
	}
	defer rc.Close()
	err = dst.Push(t.Context(), desc, rc)
	if ok, _ := dst.Exists(t.Context(), desc); ok != (err == nil) {
		t.Errorf("Push = %v, and the blob is there: %v", err, ok)
	}
	return err
}

// TestDownloadContinues holds that a blob goes on where it was cut, however that shows.
func TestDownloadContinues(t *testing.T) {
	data, desc := randomBlob(4 << 20)
	for name, c := range map[string]*cutting{
		"cut":          {most: 400 << 10},
		"ends early":   {most: 400 << 10, early: true},
		"falls silent": {most: 3 << 20, silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			c.data = data
			if err := pullBlob(t, c, desc); err != nil {
				t.Fatal(err)
			}
			if n, pieces := int(c.requests.Load()), len(data)/c.most+1; n > pieces+1 {
				t.Errorf("%d requests for %d pieces", n, pieces)
			}
			if sent := c.sent.Load(); sent > desc.Size*11/10 {
				t.Errorf("%d bytes were sent for a blob of %d", sent, desc.Size)
			}
		})
	}
}

func TestDownloadWithoutRanges(t *testing.T) {
	data, desc := randomBlob(3 << 20)
	var again atomic.Bool
	err := pullBlob(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := cutting{data: data, most: 2 << 20, noRange: true}
		if again.Swap(true) {
			c.most = len(data)
		}
		c.ServeHTTP(w, r)
	}), desc)
	if err != nil {
		t.Error(err)
	}
}

func TestDownloadGivesUp(t *testing.T) {
	data, desc := randomBlob(3 << 20)
	other := bytes.ToUpper(data)
	for name, tt := range map[string]struct {
		h    *cutting
		want error
	}{
		"little at a time": {&cutting{data: data, most: 1000}, ErrNetwork},
		"no ranges":        {&cutting{data: data, most: 2 << 20, noRange: true}, ErrNetwork},
		"another part": {&cutting{data: data, most: 2 << 20, forge: func(w http.ResponseWriter) {
			w.Header().Set("Content-Range", "bytes 0-1/2")
		}}, ErrNetwork},
		"another blob": {&cutting{data: other, most: 2 << 20}, ErrDigest},
		"no more":      {&cutting{data: data[:2<<20], most: 2 << 20, early: true}, ErrDigest},
	} {
		t.Run(name, func(t *testing.T) {
			err := pullBlob(t, tt.h, desc)
			if !errors.Is(err, tt.want) || errors.Is(err, ErrNetwork) && !strings.Contains(err.Error(), string(desc.Digest)) {
				t.Errorf("Push = %v, want %v with the digest", err, tt.want)
			}
			if n := tt.h.requests.Load(); n > maxPoor+2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestDownloadOutlivesRegistry holds that a registry may be away for a moment in the middle of a blob, and that one which
// says no is not asked again.
func TestDownloadOutlivesRegistry(t *testing.T) {
	data, desc := randomBlob(3 << 20)
	for name, tt := range map[string]struct {
		status int
		want   error
	}{"busy": {503, nil}, "gone": {404, ErrNetwork}, "denied": {403, ErrNetwork}} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			c := &cutting{data: data, most: 2 << 20}
			err := pullBlob(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 2 {
					refuse(w, tt.status, "UNKNOWN", "wait\n")
					return
				}
				c.ServeHTTP(w, r)
			}), desc)
			if !errors.Is(err, tt.want) || tt.want != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("Push = %v, want %v", err, tt.want)
			}
			if n.Load() > 3 {
				t.Errorf("%d requests", n.Load())
			}
		})
	}
}

func TestDownloadReadsToTheEnd(t *testing.T) {
	data, desc := randomBlob(1000)
	s, requests := openHostile(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(data)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler) // without the end of the chunks
	})
	rc := mustDo(s.Fetch(t.Context(), desc))
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || !bytes.Equal(got, data) || requests.Load() != 1 {
		t.Errorf("read %d bytes, %v, in %d requests", len(got), err, requests.Load())
	}
}
