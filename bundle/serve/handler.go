package serve

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// ServeHTTP answers one request, all of it from one state of the bundles.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	s.meters.inFlight.Add(1)
	defer s.meters.inFlight.Add(-1)
	answer := newResponse(w)
	if r.ContentLength != 0 { // a body that nobody wants, and which may come for ever
		w.Header().Set("Connection", "close")
		answer.control.SetReadDeadline(start.Add(headerTimeout))
	}
	defer func() {
		if answer.status == 0 { // nothing was written, which net/http makes an empty answer
			answer.status = http.StatusOK
		}
		s.meters.count(route(r.URL.Path), answer.status, answer.bytes)
		s.log(r, answer, time.Since(start))
	}()
	s.answer(answer, r)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "method not allowed: this server is read-only")
		return
	}
	path, err := cleanPath(r)
	if err != nil {
		plain(w, http.StatusBadRequest, err.Error())
		return
	}
	if path == "healthz" {
		plain(w, http.StatusOK, "ok")
		return
	}
	if !s.allowed(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="goferry", charset="UTF-8"`)
		plain(w, http.StatusUnauthorized, "unauthorized: this server wants a name and a password")
		return
	}
	if path == "metrics" {
		s.meters.ServeHTTP(w, r)
		return
	}
	set := s.acquire()
	defer set.release()
	switch {
	case path == "":
		s.page(w, r, set)
	case path == envPath:
		set.env(w)
	case path == stylePath, path == scriptPath:
		asset(w, r, path)
	case path == "v2", strings.HasPrefix(path, "v2/"):
		set.registry.ServeHTTP(w, r)
	default:
		set.file(w, r, path)
	}
}

// allowed says whether a request comes from somebody who may ask.
func (s *Server) allowed(r *http.Request) bool {
	if s.opts.Users == nil {
		return true
	}
	user, password, ok := r.BasicAuth()
	return ok && s.opts.Users.check(r.Context(), user, password)
}

// log tells an answer.
func (s *Server) log(r *http.Request, answer *response, took time.Duration) {
	if s.opts.AccessLog == nil {
		return
	}
	s.opts.AccessLog.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelInfo, "request",
		slog.String("remote", r.RemoteAddr), slog.String("method", r.Method), slog.String("path", r.URL.EscapedPath()),
		slog.Int("status", answer.status), slog.Int64("bytes", answer.bytes), slog.Duration("duration", took),
		slog.String("agent", r.UserAgent()))
}
