package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// cutUploads is a line to a registry that breaks off once a request has brought most bytes of a blob.
type cutUploads struct {
	next     http.Handler
	most     int64
	received atomic.Int64
	patches  atomic.Int64
}

func (c *cutUploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPatch {
		c.patches.Add(1)
	}
	body := &cutBody{ReadCloser: r.Body, left: c.most}
	r.Body = body
	c.next.ServeHTTP(w, r)
	c.received.Add(c.most - body.left)
	if body.left == 0 {
		panic(http.ErrAbortHandler)
	}
}

type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// pushBytes pushes a blob to a registry that is h, and returns what that says.
func pushBytes(t *testing.T, h http.Handler, desc ocispec.Descriptor, data []byte) error {
	t.Helper()
	ref, opts := startRegistry(t, true, func(http.Handler) http.Handler { return h })
	s := mustDo(Create(t.Context(), ref, opts))
	defer s.Close()
	err := s.Push(t.Context(), desc, bytes.NewReader(data))
	if ok, existsErr := s.Exists(t.Context(), desc); existsErr != nil || ok != (err == nil) {
		t.Errorf("Push = %v, and the blob is there: %v, %v", err, ok, existsErr)
	}
	return err
}

// TestUploadContinues holds that an upload which is cut goes on where the registry has got to. One that is not large
// begins as a whole, and is sent again from the start once.
func TestUploadContinues(t *testing.T) {
	for _, tt := range []struct{ size, most int }{{4 << 20, 400 << 10}, {40 << 20, 10 << 20}} {
		data, desc := randomBlob(tt.size)
		c := &cutUploads{next: ociserver.New(ocimem.New(), nil), most: int64(tt.most)}
		if err := pushBytes(t, c, desc, data); err != nil {
			t.Fatal(err)
		}
		if n := c.received.Load(); n > desc.Size*11/10 {
			t.Errorf("%d bytes were sent for a blob of %d", n, desc.Size)
		}
	}
}

// TestUploadInSmallerChunks holds that an upload which the registry forgets when it is cut becomes one that is not cut.
func TestUploadInSmallerChunks(t *testing.T) {
	data, desc := randomBlob(40 << 20)
	if err := pushBytes(t, &cutUploads{most: 10 << 20, next: newRegistry(true, nil)}, desc, data); err != nil {
		t.Error(err)
	}
}

// TestUploadWithoutMemory holds that an upload which the registry forgets when it is cut is given up some time.
func TestUploadWithoutMemory(t *testing.T) {
	data, desc := randomBlob(40 << 20)
	c := &cutUploads{most: 3 << 20, next: newRegistry(true, nil)} // knows no status of uploads
	if err := pushBytes(t, c, desc, data); !errors.Is(err, ErrNetwork) {
		t.Errorf("Push = %v, want ErrNetwork", err)
	}
	if n := c.patches.Load(); n > 3*(maxRestarts+1) {
		t.Errorf("%d chunks were sent", n)
	}
}

// TestUploadForgottenBetweenChunks holds that an upload is given up, too, of which the registry takes chunk after chunk
// and says each time that it has nothing.
func TestUploadForgottenBetweenChunks(t *testing.T) {
	data, desc := randomBlob(40 << 20)
	var patches atomic.Int64
	err := pushBytes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/v2/team/app/blobs/uploads/1")
		switch {
		case r.Method == http.MethodPatch:
			io.Copy(io.Discard, r.Body)
			if n := patches.Add(1); n > 100 {
				refuse(w, http.StatusForbidden, "DENIED", "enough")
			} else if n%2 == 0 {
				refuse(w, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID", "out of order")
			} else {
				w.WriteHeader(http.StatusAccepted)
			}
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusAccepted)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/uploads/"):
			w.Header().Set("Range", "0-0")
			w.WriteHeader(http.StatusNoContent)
		default:
			refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "not there")
		}
	}), desc, data)
	if n := patches.Load(); err == nil || n > 4*(maxRestarts+1) {
		t.Errorf("Push = %v after %d chunks", err, n)
	}
}

// TestUploadWithoutChunks holds that a registry which takes no chunks gets the blob as a whole once more.
func TestUploadWithoutChunks(t *testing.T) {
	for _, size := range []int{chunkSize + 1, largeBlob + 1} {
		for _, status := range []int{http.StatusNotFound, http.StatusRequestedRangeNotSatisfiable} {
			data, desc := randomBlob(size)
			var puts atomic.Int64
			registry := newRegistry(true, nil)
			err := pushBytes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPatch:
					refuse(w, status, "UNSUPPORTED", "no chunks")
				case r.Method == http.MethodPut && puts.Add(1) == 1:
					io.CopyN(io.Discard, r.Body, 1<<20)
					panic(http.ErrAbortHandler)
				default:
					registry.ServeHTTP(w, r)
				}
			}), desc, data)
			if err != nil || puts.Load() != 2 {
				t.Errorf("%d: Push = %v after %d PUT", status, err, puts.Load())
			}
		}
	}
}

// TestSmallUploads holds that a small blob takes one request, and two where the registry does not take that.
func TestSmallUploads(t *testing.T) {
	for _, tt := range []struct{ status, requests int }{
		{http.StatusCreated, 2}, {http.StatusAccepted, 2 + 2},
		{http.StatusBadRequest, 1 + 2 + 2}, {http.StatusMethodNotAllowed, 1 + 2 + 2}, {http.StatusRequestEntityTooLarge, 1 + 2 + 2},
	} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			var requests atomic.Int64
			ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					whole := r.Method == http.MethodPost && r.URL.Query().Has("digest")
					switch {
					case whole && tt.status >= 400:
						refuse(w, tt.status, "UNSUPPORTED", "no")
					case whole && tt.status == http.StatusAccepted:
						onlyBegins(next).ServeHTTP(w, r)
					default:
						next.ServeHTTP(w, r)
					}
				})
			})
			s := mustDo(Create(t.Context(), ref, opts))
			defer s.Close()
			for _, size := range []int{smallBlob, 0} {
				data, desc := randomBlob(size)
				mustPush(t, s, desc, data)
				if ok, err := s.Exists(t.Context(), desc); !ok || err != nil {
					t.Errorf("Exists = %v, %v", ok, err)
				}
				requests.Add(-1)
			}
			if n := requests.Load(); n != int64(tt.requests) {
				t.Errorf("%d requests for two blobs, want %d", n, tt.requests)
			}
		})
	}
}

// TestUploadStaysAtTheRegistry holds that neither a blob nor credentials follow an upload to another place.
func TestUploadStaysAtTheRegistry(t *testing.T) {
	for _, size := range []int{10, smallBlob + 1} {
		data, desc := randomBlob(size)
		var elsewhere atomic.Int64
		other, _ := startRegistry(t, true, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
		})
		for _, location := range []string{"http://" + other.Host + "/v2/x", "https://" + other.Host, "ftp://x/", "//" + other.Host, "http://[", ""} {
			err := pushBytes(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.Header().Set("Location", location)
					w.WriteHeader(http.StatusAccepted)
					return
				}
				w.WriteHeader(http.StatusNotFound)
			}), desc, data)
			if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || elsewhere.Load() > 0 {
				t.Errorf("%q: Push = %v, and %d requests elsewhere", location, err, elsewhere.Load())
			}
		}
	}
}
