package rehearse

import (
	"go/version"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// newerGo returns the version of Go that the go.mod or go.work file in force in dir asks for, if
// it is newer than the bundle's. With GOTOOLCHAIN=local the go command asks no GOPROXY for it.
func (r *Rehearsal) newerGo(dir string) string {
	newest := ""
	for _, name := range []string{"go.mod", "go.work"} {
		if line := goLine(dir, name); r.Bundle.GoVersion != "" && version.Compare("go"+line, r.Bundle.GoVersion) > 0 &&
			version.Compare("go"+line, "go"+newest) > 0 {
			newest = line
		}
	}
	if v := "go" + newest; v == version.Lang(v) && version.Compare(v, "go1.21") >= 0 {
		newest += ".0" // a release, as the go command means it
	}
	return newest
}

// goLine returns the Go version in the nearest file with the name, in dir or above it.
func goLine(dir, name string) string {
	file := nearest(dir, name)
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	if name == "go.work" {
		if f, err := modfile.ParseWork(file, data, nil); err == nil && f.Go != nil {
			return f.Go.Version
		}
		return ""
	}
	if f, err := modfile.ParseLax(file, data, nil); err == nil && f.Go != nil {
		return f.Go.Version
	}
	return ""
}

// nearest returns the file with the name in dir, or in the nearest directory above it, or "".
func nearest(dir, name string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}
