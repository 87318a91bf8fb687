package toolchain

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"

	"golang.org/x/mod/module"
)

// zipPrefix is what the names of all files in a module zip begin with.
func zipPrefix(version string) string { return modulePath + "@" + version + "/" }

// layerName returns the name below GOROOT of the file that the module zip calls name.
func layerName(name string) (string, error) {
	if strings.EqualFold(path.Base(name), "go.mod") {
		return "", fmt.Errorf("file %q: a toolchain's go.mod files are named _go.mod", name)
	}
	if dir, base := path.Split(name); base == "_go.mod" {
		name = dir + "go.mod"
	}
	return name, module.CheckFilePath(name)
}

// zipName is the reverse of layerName.
func zipName(name string) (string, error) {
	if strings.EqualFold(path.Base(name), "_go.mod") {
		return "", fmt.Errorf("file %q: a layer's _go.mod files are named go.mod", name)
	}
	if err := module.CheckFilePath(name); err != nil {
		return "", err
	}
	if dir, base := path.Split(name); base == "go.mod" {
		name = dir + "_go.mod"
	}
	return name, nil
}

// Mode returns the mode that a file has in a Go distribution.
func Mode(name string) fs.FileMode {
	if strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "pkg/tool/") {
		return 0o755
	}
	switch path.Ext(name) {
	case ".bash", ".sh", ".pl", ".rc":
		return 0o755
	}
	if ok, _ := path.Match("go_?*_?*_exec", path.Base(name)); ok {
		return 0o755
	}
	return 0o644
}

// seen has the names that came before, and their directories.
type seen struct {
	entries map[string]entry // by folded name
	size    int              // of all names
}

type entry struct {
	name string
	dir  bool
}

// add refuses a file that cannot be beside those that came before, on some file system.
func (s *seen) add(name string) error {
	for e := (entry{name: name}); e.name != "."; e = (entry{path.Dir(e.name), true}) {
		folded := fold(e.name)
		other, ok := s.entries[folded]
		switch {
		case ok && other.name != e.name:
			return fmt.Errorf("files %q and %q differ in case only", other.name, e.name)
		case ok && (!e.dir || !other.dir):
			return fmt.Errorf("file %q is there twice", e.name)
		case ok:
			return nil // its parents are known too
		}
		s.entries[folded] = e
		if s.size += len(e.name); s.size > maxNames {
			return fmt.Errorf("names have more than %d bytes together", maxNames)
		}
	}
	return nil
}

// fold maps all names to one that a file system without case takes for the same.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
