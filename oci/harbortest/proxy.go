package harbortest

import (
	"bytes"
	"io"
	"net/http"
)

// hiccups are the answers of a registry under load, one after the other.
var hiccups = []int{
	http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// proxy is what stands before the registry. It reports whether it lets a request through.
func (s *Server) proxy(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	s.asked++
	n, request := s.asked, r.Method+r.URL.RequestURI()
	hiccup := s.setup.Hiccups > 0 && n%s.setup.Hiccups == 0 && !s.failed[request]
	s.failed[request] = s.failed[request] || hiccup
	s.mu.Unlock()
	if hiccup {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(hiccups[n/s.setup.Hiccups%len(hiccups)])
		return false
	}
	if most := s.setup.MaxBody; most > 0 && r.ContentLength > most {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, "<html><h1>413 Request Entity Too Large</h1></html>")
		return false
	}
	if !s.setup.Buffers {
		return true
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil
}
