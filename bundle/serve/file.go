package serve

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// immutable is for what never changes under its name.
const immutable = "public, max-age=31536000, immutable"

// file answers for a file of the GOPROXY tree.
func (s *set) file(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := s.site.File(name)
	if !ok {
		plain(w, http.StatusNotFound, s.notFound(name))
		return
	}
	content, err := f.Open(r.Context())
	if err != nil {
		plain(w, http.StatusServiceUnavailable, "not available now: "+name+" cannot be read from its bundle")
		return
	}
	defer content.Close()
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("ETag", `"`+f.ETag+`"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	if f.Immutable {
		h.Set("Cache-Control", immutable)
	}
	http.ServeContent(w, r, "", time.Time{}, content)
}

// notFound says why there is no such file. The go command shows eight lines of it at most, and 648 bytes.
func (s *set) notFound(name string) string {
	q, err := parseQuestion(name)
	switch {
	case err != nil:
		text := fmt.Sprintf("not found: %v", err)
		if strings.ToLower(name) != name {
			text += "; in the address of a module !x stands for X"
		}
		return text
	case q.path == "":
		return fmt.Sprintf("not found: %q is no file of a module, and none of the checksum database that %s needs", name, s.searched())
	}
	what := q.path
	if q.version != "" {
		what += "@" + q.version
	}
	text := fmt.Sprintf("not found: %s is in none of: %s", what, s.searched())
	if versions := s.versions[q.path]; len(versions) > 0 {
		text += fmt.Sprintf("\nof %s there are: %s", q.path, some(newestFirst(versions), 8))
	}
	return text
}

// searched names the bundles.
func (s *set) searched() string { return some(s.names, 3) }

// some joins the first names, and says how many there are beside them.
func some(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

func newestFirst(versions []string) []string {
	versions = slices.Clone(versions)
	slices.SortFunc(versions, func(a, b string) int { return semver.Compare(b, a) })
	return versions
}
