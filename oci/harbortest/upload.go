package harbortest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// beginUpload mounts a blob of another repository, or begins an upload, whatever else is asked for.
func (s *Server) beginUpload(w http.ResponseWriter, q request) {
	io.Copy(io.Discard, q.Body)
	query := q.URL.Query()
	if blob := query.Get("mount"); !s.setup.NoMount && s.has(query.Get("from"), blob) {
		s.link(q.repository, blob)
		w.Header().Set("Location", "/v2/"+q.repository+"/blobs/"+blob)
		w.Header().Set("Docker-Content-Digest", blob)
		w.WriteHeader(http.StatusCreated)
		return
	}
	s.mu.Lock()
	s.begun++
	id := strconv.Itoa(s.begun)
	s.uploads[id] = []byte{}
	s.mu.Unlock()
	accept(w, q, id, 0, http.StatusAccepted)
}

// accept answers that an upload goes on after so many bytes.
func accept(w http.ResponseWriter, q request, id string, has, status int) {
	w.Header().Set("Location", "/v2/"+q.repository+"/blobs/uploads/"+id+"?_state=secret-"+strconv.Itoa(has))
	w.Header().Set("Range", fmt.Sprintf("0-%d", max(has-1, 0)))
	w.WriteHeader(status)
}

// upload tells how far an upload is, adds to it, or ends it. One request at a time has an upload.
func (s *Server) upload(w http.ResponseWriter, q request) {
	s.mu.Lock()
	data, ok := s.uploads[q.target]
	if q.Method != http.MethodGet {
		delete(s.uploads, q.target)
	}
	s.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
		return
	}
	if q.Method == http.MethodGet {
		accept(w, q, q.target, len(data), http.StatusNoContent)
		return
	}
	part, err := io.ReadAll(q.Body)
	if err != nil {
		return // the client is gone, and the upload with it
	}
	whole := append(data, part...)
	if q.Method == http.MethodPut {
		s.finishUpload(w, q, whole)
		return
	}
	if first, _, ranged := strings.Cut(q.Header.Get("Content-Range"), "-"); ranged && first != strconv.Itoa(len(data)) {
		s.keepUpload(q.target, data)
		refuse(w, http.StatusRequestedRangeNotSatisfiable, "RANGE_INVALID", "it goes on elsewhere")
		return
	}
	s.keepUpload(q.target, whole)
	accept(w, q, q.target, len(whole), http.StatusAccepted)
}

func (s *Server) keepUpload(id string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uploads[id] = data
}

func (s *Server) finishUpload(w http.ResponseWriter, q request, data []byte) {
	s.mu.Lock()
	s.used += int64(len(data))
	used := s.used
	s.mu.Unlock()
	if s.setup.Quota > 0 && used > s.setup.Quota {
		refuse(w, http.StatusForbidden, "DENIED", fmt.Sprintf("adding %.1f KiB of storage resource, which when updated to current usage of %d B will exceed the configured upper limit of %d B",
			float64(len(data))/1024, used, s.setup.Quota))
		return
	}
	whole := q.Clone(q.Context())
	whole.Method, whole.URL.Path = http.MethodPost, "/v2/"+q.repository+"/blobs/uploads/"
	whole.Body, whole.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	answer := &statusWriter{ResponseWriter: w}
	s.registry.ServeHTTP(answer, whole)
	if answer.status == http.StatusCreated {
		s.link(q.repository, q.URL.Query().Get("digest"))
	}
}

// ForgetUploads makes as if no upload had been begun.
func (s *Server) ForgetUploads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.uploads)
}

// SpoilUploads changes a byte of what every upload has got.
func (s *Server) SpoilUploads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, data := range s.uploads {
		if len(data) > 0 {
			data[0]++
		}
	}
}
