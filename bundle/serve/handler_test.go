package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// recorder is a connection that takes files from the kernel, and notes deadlines.
type recorder struct {
	*httptest.ResponseRecorder
	deadlines, fromFile int
	largest             int64
}

func (r *recorder) SetWriteDeadline(at time.Time) error {
	r.deadlines++
	return nil
}

func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	part := src.(*io.LimitedReader)
	if _, ok := part.R.(syscall.Conn); ok {
		r.fromFile++
		r.largest = max(r.largest, part.N)
	}
	return io.Copy(r.ResponseRecorder, src)
}

// A zip reaches the connection as a file, in pieces that each have a deadline of their own.
func TestZipIsSentAsFile(t *testing.T) {
	w := newWorld(t)
	w.module(t, "example.com/big", "v1.0.0", 2<<20)
	dir := t.TempDir() + "/app"
	w.pack(t, dir, "v1", "example.com/big@v1.0.0")
	s := newServer(t, "oci:"+dir)
	for _, path := range []string{"/example.com/big/@v/v1.0.0.zip", "/v2/app/blobs/" + s.places[0].entries[0].platforms[0].Layers[0].Digest.String()} {
		rec := &recorder{ResponseRecorder: httptest.NewRecorder()}
		s.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		if size := int64(rec.Body.Len()); size < 1<<20 || rec.fromFile < int(size/piece) || rec.largest > piece || rec.deadlines <= rec.fromFile {
			t.Errorf("GET %s: %d bytes, %d pieces of a file, the largest of %d, %d deadlines", path, size, rec.fromFile, rec.largest, rec.deadlines)
		}
	}
}

func TestAccessLog(t *testing.T) {
	s, _ := small(t)
	var log bytes.Buffer
	s.opts.AccessLog = slog.New(slog.NewJSONHandler(&log, nil))
	r := httptest.NewRequest("GET", "/example.com/big/@v/%0a%e2%80%ae?secret", nil)
	r.Header.Set("User-Agent", "go\n{}")
	s.ServeHTTP(httptest.NewRecorder(), r)
	var line struct {
		Method, Path, Agent, Remote string
		Status, Bytes               int
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Method != "GET" || line.Path != "/example.com/big/@v/%0a%e2%80%ae" || line.Status != 400 || line.Bytes == 0 || line.Remote == "" || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("log: %s", &log)
	}
}

func TestMetrics(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	for _, path := range []string{"/", "/healthz", "/v2/", "/example.com/big/@v/list", "/example.com/none/@v/list", "/sumdb/sum.test/supported", "/goferry/env.json"} {
		ask(t, url, "GET", path)
	}
	_, body := ask(t, url, "GET", "/metrics")
	for _, line := range []string{
		`goferry_requests_total{route="page",code="200"} 1`, `goferry_requests_total{route="health",code="200"} 1`,
		`goferry_requests_total{route="registry",code="200"} 1`, `goferry_requests_total{route="module",code="200"} 1`,
		`goferry_requests_total{route="module",code="404"} 1`, `goferry_requests_total{route="sumdb",code="404"} 1`,
		`goferry_requests_total{route="env",code="200"} 1`, `goferry_response_bytes_total{route="health"} 3`,
		"goferry_requests_in_flight 1", "goferry_bundles 1", "goferry_modules 3", "goferry_reload_failed 0",
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("/metrics has no line %q:\n%s", line, body)
		}
	}
}

// A body is not waited for.
func TestBodyIsNotRead(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	body, never := io.Pipe()
	defer never.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/healthz", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("GET with a body: %s", resp.Status)
	}
}
