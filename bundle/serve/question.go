package serve

import (
	"path"
	"strings"

	"golang.org/x/mod/module"
)

// A question is what a go command wants to know, as far as the name of a file tells.
type question struct {
	path    string // of the module; "" where the name is none of a module's files
	version string // "" for @latest and list
}

// parseQuestion reads the name of a file below a GOPROXY's root. The error says what is malformed.
func parseQuestion(name string) (question, error) {
	escaped, file, ok := strings.Cut(name, "/@v/")
	if !ok {
		if escaped, ok = strings.CutSuffix(name, "/@latest"); !ok {
			return question{}, nil
		}
		p, err := module.UnescapePath(escaped)
		return question{path: p}, err
	}
	p, err := module.UnescapePath(escaped)
	if err != nil || file == "list" {
		return question{path: p}, err
	}
	ext := path.Ext(file)
	if ext != ".info" && ext != ".mod" && ext != ".zip" {
		return question{path: p}, nil
	}
	v, err := module.UnescapeVersion(strings.TrimSuffix(file, ext))
	return question{p, v}, err
}

// contentType says what a file is by its name.
func contentType(name string) string {
	if strings.HasPrefix(name, "sumdb/") {
		if strings.Contains(name, "/tile/") {
			return "application/octet-stream"
		}
		return "text/plain; charset=utf-8"
	}
	switch {
	case strings.HasSuffix(name, ".zip"):
		return "application/zip"
	case strings.HasSuffix(name, ".info"), strings.HasSuffix(name, "/@latest"):
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}
