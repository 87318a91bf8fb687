package serve

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page.html page.css page.js
var pageFiles embed.FS

var pageTemplate = template.Must(template.New("page.html").Funcs(template.FuncMap{"size": humanSize}).ParseFS(pageFiles, "page.html"))

const (
	stylePath  = "goferry/page.css"
	scriptPath = "goferry/page.js"
)

// maxPages is how many pages there are at once, until they are sent: one of thousands of modules has megabytes, and is
// made for each client.
const maxPages = 16

// page waits until there may be another page.
func (s *Server) page(w http.ResponseWriter, r *http.Request, set *set) {
	select {
	case s.pages <- struct{}{}:
		defer func() { <-s.pages }()
		set.page(w, r)
	case <-r.Context().Done():
		plain(w, http.StatusServiceUnavailable, "not available now: too many pages are being sent")
	}
}

// page is for people. It works without scripts; with them the search filters while one types, and lines can be copied.
func (s *set) page(w http.ResponseWriter, r *http.Request) {
	data, err := s.pageData(r)
	if err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, data); err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	sendPage(w, r, b.Bytes())
}

// asset answers for what the page looks and behaves like.
func asset(w http.ResponseWriter, r *http.Request, name string) {
	data, err := pageFiles.ReadFile(path.Base(name))
	if err != nil {
		plain(w, http.StatusNotFound, "not found: "+name)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/css; charset=utf-8")
	if strings.HasSuffix(name, ".js") {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	sendPage(w, r, data)
}

// sendPage sends what may be another after the next start, or the next bundle.
func sendPage(w http.ResponseWriter, r *http.Request, data []byte) {
	sum := sha256.Sum256(data)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
