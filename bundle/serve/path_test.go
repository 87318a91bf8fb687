package serve

import (
	"io/fs"
	"testing"

	"golang.org/x/mod/module"
)

func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"", "/", ".", "..", "a/../b", "a//b", "a\x00b", "a\\b", "\xff", "a/", "/@v/list", "a/@v/..", "@latest",
		"example.com/!upper/@v/v1.0.0.zip", "example.com/Upper/@v/v1.0.0.zip", "example.com/a/@v/v1.0.0.zip/@v/list",
		"sumdb/sum.test/lookup/example.com/a@v1.0.0", "example.com/a/@v/!!.info", "example.com/a/@v/.info", "v2/a/blobs/sha256:00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if checkPath(path) != nil {
			return
		}
		if trimmed := path; len(trimmed) > 1 && trimmed[len(trimmed)-1] != '/' && !fs.ValidPath(trimmed) {
			t.Errorf("checkPath(%q) = nil, but it is no clean path", path)
		}
		q, err := parseQuestion(path)
		if err != nil || q.path == "" {
			return
		}
		if err := module.CheckPath(q.path); err != nil {
			t.Errorf("parseQuestion(%q) = %v: %v", path, q, err)
		}
		contentType(path)
	})
}
