// Package harbortest is a registry for tests that has the habits of a Harbor in production, in front of the registry of
// go-containerregistry, which keeps the blobs and manifests. What it does was measured on Harbor 2.16:
//
//   - Tokens come from /service/token of the host that was asked, for all that the account may do, and are soon over.
//   - A project that does not exist, or where the account may not push, is 401, also for HEAD.
//   - A blob is in a repository only if it was pushed or mounted there. An upload of one request is begun, not done.
//   - An upload goes on with the byte that its status names. One that is cut inside of a request is forgotten, unless a
//     proxy before the registry holds requests back until they are whole.
//   - A body that is too large for that proxy is 413, with a page instead of JSON.
//   - Under load it has hiccups: 429 with Retry-After, and 500, 502, 503 and 504, after each of which it goes on.
//   - A manifest is taken once all that it names is there (400 MANIFEST_BLOB_UNKNOWN), up to 4 MiB (413), and while the
//     quota lasts (403 denied).
//   - A tag that is immutable is refused with 412, even for the digest that it has.
//   - Under the signature policy a manifest without a signature of its own is not read (412), except by a client that
//     calls itself cosign and has a token with which it may push.
//   - Garbage collection takes manifests that have no tag and no index at once, while blobs get time.
//
// The one possibility that was left out is Harbor itself: it takes eight containers to run.
package harbortest

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Harbor says how the registry is set up. The zero value is open to everybody and has none of the policies.
type Harbor struct {
	User, Password string
	PullOnly       bool     // the account may not push
	TokenUses      int      // requests that a token is good for; 0 is all
	Projects       []string // that there are; nil is all that are asked for

	SignaturePolicy bool
	ImmutableTags   bool
	Quota           int64 // bytes of all blobs; 0 is no limit
	NoMount         bool  // as if the account could not pull where a blob is

	Buffers bool  // a proxy before it holds requests back until they are whole
	MaxBody int64 // of a request through that proxy; 0 is no limit
	Hiccups int   // every so manyth request fails, but none twice; 0 is none
}

// Server is a Harbor that runs.
type Server struct {
	setup    Harbor
	registry http.Handler

	mu       sync.Mutex
	requests []string
	tokens   map[string]int             // uses that are left
	blobs    map[string]map[string]bool // of a repository
	tags     map[string]map[string]string
	parents  map[string][]string // of a manifest: what names it
	signed   map[string]bool
	uploads  map[string][]byte
	used     int64
	failed   map[string]bool
	asked    int // requests so far
	begun    int // uploads
}

// New starts nothing: the server is an [http.Handler].
func New(setup Harbor) *Server {
	return &Server{
		setup:    setup,
		registry: registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))),
		tokens:   map[string]int{},
		blobs:    map[string]map[string]bool{},
		tags:     map[string]map[string]string{},
		parents:  map[string][]string{},
		signed:   map[string]bool{},
		uploads:  map[string][]byte{},
		failed:   map[string]bool{},
	}
}

// Requests are what was asked so far, as "METHOD path".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Forget begins the list of requests anew.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// request is what a path asks for.
type request struct {
	*http.Request
	project, repository, kind, target string
}

func parse(r *http.Request) request {
	q := request{Request: r}
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, kind := range []string{"/manifests/", "/blobs/uploads/", "/blobs/", "/tags/", "/referrers/"} {
		if i := strings.LastIndex(path, kind); i > 0 {
			q.repository, q.kind, q.target = path[:i], strings.Trim(kind, "/"), path[i+len(kind):]
			break
		}
	}
	q.project, _, _ = strings.Cut(q.repository, "/")
	return q
}

func (q request) writes() bool { return q.Method != http.MethodGet && q.Method != http.MethodHead }

// ServeHTTP answers one request at a time.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	if r.URL.Path == "/service/token" {
		s.giveToken(w, r)
		return
	}
	q := parse(r)
	if !s.proxy(w, r) || !s.admit(w, q) {
		return
	}
	switch {
	case q.kind == "manifests" && q.Method == http.MethodPut:
		s.putManifest(w, q)
	case q.kind == "manifests":
		s.getManifest(w, q)
	case q.kind == "blobs/uploads" && q.Method == http.MethodPost:
		s.beginUpload(w, q)
	case q.kind == "blobs/uploads":
		s.upload(w, q)
	case q.kind == "blobs" && !s.has(q.repository, q.target):
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown to registry")
	default:
		s.registry.ServeHTTP(w, r)
	}
}

// refuse answers with an error as registries have it.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

func (s *Server) giveToken(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); user != s.setup.User || password != s.setup.Password {
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized: authentication required")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := fmt.Sprintf("token-%d", len(s.tokens))
	s.tokens[token] = s.setup.TokenUses
	json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": 1800})
}

// admit answers with 401 whoever has no token for what is asked.
func (s *Server) admit(w http.ResponseWriter, q request) bool {
	known := q.repository == "" || s.setup.Projects == nil || slices.Contains(s.setup.Projects, q.project)
	if s.setup.User == "" && known || s.useToken(q) && known && !(s.setup.PullOnly && q.writes()) {
		return true
	}
	action := "pull"
	if q.writes() {
		action = "push"
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s://%s/service/token",service="harbor-registry",scope="repository:%s:pull,push"`,
		scheme(q.Request), q.Host, q.repository))
	message := fmt.Sprintf("unauthorized to access repository: %s, action: %s: unauthorized to access repository: %[1]s, action: %[2]s", q.repository, action)
	refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", message)
	return false
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

func (s *Server) useToken(q request) bool {
	token, ok := strings.CutPrefix(q.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	left, known := s.tokens[token]
	if !ok || !known || left < 0 {
		return false
	}
	if left > 0 {
		if left--; left == 0 {
			left = -1
		}
		s.tokens[token] = left
	}
	return true
}
