package serve

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxPath is the longest path that is looked at. The longest that a go command asks for has a module
// path, which is below 300 bytes where module proxies agree to store it, and a version.
const maxPath = 2048

var (
	errEscape    = errors.New("malformed path: a module path has no encoded slash")
	errLong      = errors.New("malformed path: too long")
	errCharacter = errors.New("malformed path: it has a character that no module path has")
	errElement   = errors.New("malformed path: it has an empty element, or one that is only dots")
)

// cleanPath returns the path of a request without the leading slash. It never repairs a path: one that
// would need it is refused, so that there is one name for each file.
func cleanPath(r *http.Request) (string, error) {
	if strings.Contains(strings.ToLower(r.URL.RawPath), "%2f") {
		return "", errEscape
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/")
	if !ok {
		return "", errElement // "*", or an absolute address without a path
	}
	return path, checkPath(path)
}

func checkPath(path string) error {
	if len(path) > maxPath {
		return errLong
	}
	if !utf8.ValidString(path) || strings.ContainsFunc(path, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }) {
		return errCharacter
	}
	if path == "" {
		return nil
	}
	for element := range strings.SplitSeq(strings.TrimSuffix(path, "/"), "/") {
		if strings.Trim(element, ".") == "" {
			return errElement
		}
	}
	return nil
}
