package oci

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goferry/goferry/oci/harbortest"
)

// A dyingLine takes so many chunks, and then nothing until it is mended.
type dyingLine struct {
	harbor *harbortest.Server
	chunks atomic.Int64
	mended atomic.Bool
	blobs  atomic.Int64 // bytes of blobs since
}

func (d *dyingLine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.mended.Load() {
		d.blobs.Add(max(r.ContentLength, 0))
	} else if r.Method == http.MethodPatch && d.chunks.Add(-1) < 0 || d.chunks.Load() < 0 {
		panic(http.ErrAbortHandler)
	}
	d.harbor.ServeHTTP(w, r)
}

const recordedSize = 2*chunkSize + 1

// pushUntilDead pushes a blob of which one chunk arrives, and mends the line.
func pushUntilDead(t *testing.T) (line *dyingLine, again func(data []byte) error, data []byte, record string) {
	t.Helper()
	data, desc := randomBlob(recordedSize)
	line = &dyingLine{harbor: harbortest.New(harbortest.Harbor{})}
	line.chunks.Store(1)
	ref, opts := startRegistry(t, true, func(http.Handler) http.Handler { return line })
	opts.UploadDir = filepath.Join(t.TempDir(), "uploads")
	again = func(data []byte) error {
		s := mustDo(Create(t.Context(), ref, opts))
		defer s.Close()
		return s.Push(t.Context(), desc, bytes.NewReader(data))
	}
	if err := again(data); !errors.Is(err, ErrNetwork) {
		t.Fatalf("Push = %v, want ErrNetwork", err)
	}
	line.mended.Store(true)
	return line, again, data, onlyFile(t, opts.UploadDir)
}

func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%s has %v, %v", dir, entries, err)
	}
	return filepath.Join(dir, entries[0].Name())
}

// TestUploadContinuesLater holds that another process goes on with what a registry has, and that nobody else can.
func TestUploadContinuesLater(t *testing.T) {
	line, again, data, record := pushUntilDead(t)
	if info, err := os.Stat(record); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := again(data); err != nil {
		t.Fatal(err)
	}
	if n := line.blobs.Load(); n != recordedSize-chunkSize {
		t.Errorf("%d bytes were sent for the missing %d", n, recordedSize-chunkSize)
	}
	if _, err := os.Stat(record); !os.IsNotExist(err) {
		t.Errorf("the record of a finished upload: %v", err)
	}
}

// TestUploadBeginsAnew holds that whatever is odd about an earlier upload costs no more than to send the blob.
func TestUploadBeginsAnew(t *testing.T) {
	elsewhere := strings.NewReplacer("127.0.0.1:", "127.0.0.2:")
	for name, change := range map[string]func(t *testing.T, line *dyingLine, record string){
		"no record":       func(t *testing.T, line *dyingLine, record string) { os.Remove(record) },
		"half a record":   func(t *testing.T, line *dyingLine, record string) { os.Truncate(record, 20) },
		"another place":   func(t *testing.T, line *dyingLine, record string) { rewrite(t, record, elsewhere.Replace) },
		"too long":        func(t *testing.T, line *dyingLine, record string) { os.Truncate(record, 1<<20) },
		"forgotten":       func(t *testing.T, line *dyingLine, record string) { line.harbor.ForgetUploads() },
		"other bytes":     func(t *testing.T, line *dyingLine, record string) { line.harbor.SpoilUploads() },
		"old":             func(t *testing.T, line *dyingLine, record string) { os.Chtimes(record, time.Time{}, time.Unix(0, 0)) },
		"used by another": func(t *testing.T, line *dyingLine, record string) { lockFile(t, record) },
	} {
		t.Run(name, func(t *testing.T) {
			line, again, data, record := pushUntilDead(t)
			change(t, line, record)
			if err := again(data); err != nil {
				t.Fatal(err)
			}
			if n := line.blobs.Load(); n < recordedSize {
				t.Errorf("%d bytes were sent, fewer than the blob has", n)
			}
		})
	}
}

func rewrite(t *testing.T, file string, change func(string) string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(change(string(data))), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func lockFile(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err == nil {
		err = tryLock(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
}

// TestChunksAreVerified holds that a blob which is not its digest is refused before a registry has it, however it was
// read.
func TestChunksAreVerified(t *testing.T) {
	data, desc := randomBlob(largeBlob + 1)
	changed := bytes.Clone(data)
	changed[1]++
	for name, src := range map[string]io.Reader{
		"changed": bytes.NewReader(changed), "cut": bytes.NewReader(data[:largeBlob-7]), "longer": bytes.NewReader(append(bytes.Clone(data), 0)),
	} {
		t.Run(name, func(t *testing.T) {
			harbor, ref, opts := startHarbor(t, harbortest.Harbor{})
			s := mustDo(Create(t.Context(), ref, opts))
			defer s.Close()
			if err := s.Push(t.Context(), desc, src); !errors.Is(err, ErrDigest) {
				t.Errorf("Push = %v, want ErrDigest", err)
			}
			for _, r := range harbor.Requests() {
				if strings.HasPrefix(r, "PUT") {
					t.Errorf("asked for %s", r)
				}
			}
		})
	}
	line, again, _, _ := pushUntilDead(t)
	other, _ := randomBlob(recordedSize)
	other[0]++
	if err := again(other); !errors.Is(err, ErrDigest) || line.blobs.Load() > 2*recordedSize {
		t.Errorf("Push = %v, want ErrDigest", err)
	}
}
