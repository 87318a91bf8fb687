package rehearse

import (
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// newerGo returns the newest version of Go that is asked for by the go.mod or go.work file in force
// in dir, or by the go.mod files of modules, if it is newer than the bundle's. A go command that must
// not switch asks no GOPROXY for it.
func (r *Rehearsal) newerGo(dir string, modules []*modfile.File) string {
	if !slices.Contains(r.Bundle.GoEnv, "GOTOOLCHAIN=local") {
		return ""
	}
	lines := []string{goLine(dir, "go.mod"), goLine(dir, "go.work")}
	for _, f := range modules {
		if f.Go != nil {
			lines = append(lines, f.Go.Version)
		}
	}
	newest := r.Bundle.GoVersion
	for _, line := range lines {
		if v := "go" + line; version.Compare(v, newest) > 0 {
			newest = v
		}
	}
	switch {
	case r.Bundle.GoVersion == "" || newest == r.Bundle.GoVersion:
		return ""
	case newest == version.Lang(newest) && version.Compare(newest, "go1.21") >= 0:
		newest += ".0" // a release, as the go command means it
	}
	return strings.TrimPrefix(newest, "go")
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
