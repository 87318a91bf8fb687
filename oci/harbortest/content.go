package harbortest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const maxManifest = 4 << 20

func (s *Server) has(repository, blob string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs[repository][blob]
}

func (s *Server) link(repository, blob string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs[repository] == nil {
		s.blobs[repository] = map[string]bool{}
	}
	s.blobs[repository][blob] = true
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// manifest is what Harbor reads of manifests and indexes.
type manifest struct {
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
	Manifests []ocispec.Descriptor `json:"manifests"`
	Subject   *ocispec.Descriptor  `json:"subject"`
}

func (s *Server) putManifest(w http.ResponseWriter, q request) {
	data, err := io.ReadAll(io.LimitReader(q.Body, maxManifest+1))
	var m manifest
	switch {
	case err != nil:
		return // the client is gone
	case len(data) > maxManifest:
		refuse(w, http.StatusRequestEntityTooLarge, "REQUEST_ENTITY_TOO_LARGE", "request body exceeds the maximum size")
		return
	case json.Unmarshal(data, &m) != nil:
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "unknown: invalid manifest")
		return
	}
	isTag := !strings.HasPrefix(q.target, "sha256:")
	if isTag && s.setup.ImmutableTags && s.tagged(q.repository, q.target) {
		refuse(w, http.StatusPreconditionFailed, "PRECONDITION", "Failed to process request due to '"+q.repository+":"+q.target+"' configured as immutable.")
		return
	}
	if missing := s.missing(q.repository, m); missing != "" {
		refuse(w, http.StatusBadRequest, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry: "+missing)
		return
	}
	q.Body = io.NopCloser(bytes.NewReader(data))
	answer := &statusWriter{ResponseWriter: w}
	s.registry.ServeHTTP(answer, q.Request)
	if answer.status == http.StatusCreated {
		s.keep(q, digest.FromBytes(data).String(), m)
	}
}

func (s *Server) tagged(repository, tag string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags[repository][tag] != ""
}

// missing is the first thing that m names and the repository lacks.
func (s *Server) missing(repository string, m manifest) string {
	blobs := slices.Concat(m.Layers, m.Manifests)
	if m.Config != nil {
		blobs = append(blobs, *m.Config)
	}
	for _, desc := range blobs {
		if !s.has(repository, string(desc.Digest)) {
			return string(desc.Digest)
		}
	}
	return ""
}

// keep notes what a manifest is to others.
func (s *Server) keep(q request, d string, m manifest) {
	s.link(q.repository, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.target != d {
		if s.tags[q.repository] == nil {
			s.tags[q.repository] = map[string]string{}
		}
		s.tags[q.repository][q.target] = d
	}
	for _, child := range m.Manifests {
		s.parents[string(child.Digest)] = append(s.parents[string(child.Digest)], d)
	}
	if m.Subject != nil {
		s.parents[d] = append(s.parents[d], string(m.Subject.Digest))
		s.signed[string(m.Subject.Digest)] = true
	}
	if hex, ok := strings.CutSuffix(q.target, ".sig"); ok {
		s.signed[strings.Replace(hex, "sha256-", "sha256:", 1)] = true
	}
}

func (s *Server) getManifest(w http.ResponseWriter, q request) {
	s.mu.Lock()
	d := q.target
	if tagged := s.tags[q.repository][q.target]; tagged != "" {
		d = tagged
	}
	hidden := s.setup.SignaturePolicy && s.blobs[q.repository][d] && !s.signed[d] && !strings.HasSuffix(q.target, ".sig")
	s.mu.Unlock()
	mayPush := strings.HasPrefix(q.Header.Get("Authorization"), "Bearer ") && !s.setup.PullOnly
	if hidden && !(mayPush && strings.Contains(q.UserAgent(), "cosign")) {
		refuse(w, http.StatusPreconditionFailed, "PROJECTPOLICYVIOLATION", "The image is not signed by cosign.")
		return
	}
	s.registry.ServeHTTP(w, q.Request)
}

// Lose makes as if a blob had never been pushed to a repository, whatever names it.
func (s *Server) Lose(repository, blob string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs[repository], blob)
}

// CollectGarbage removes the manifests of all repositories that have no tag, no index that names them, and no subject.
func (s *Server) CollectGarbage() {
	s.mu.Lock()
	defer s.mu.Unlock()
	tagged := map[string]bool{}
	for _, tags := range s.tags {
		for _, d := range tags {
			tagged[d] = true
		}
	}
	for repository, blobs := range s.blobs {
		for d := range blobs {
			gone := httptest.NewRecorder()
			if !tagged[d] && len(s.parents[d]) == 0 {
				s.registry.ServeHTTP(gone, httptest.NewRequest(http.MethodDelete, "/v2/"+repository+"/manifests/"+d, nil))
			}
			if gone.Code == http.StatusAccepted {
				delete(blobs, d)
			}
		}
	}
}
