package rehearse

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/toolchain"
)

// A Missing is something that a command asked for and the bundle does not have.
type Missing struct {
	Module  string   `json:"module"`            // module path, or that of a package in it; "go" for a Go toolchain
	Version string   `json:"version,omitempty"` // empty: any
	Files   []string `json:"files,omitempty"`   // "info", "mod", "zip", "sum", or the answers "list", "latest"
	Flag    string   `json:"flag,omitempty"`    // with which pack adds it
}

// String is "golang.org/x/mod@v0.42.0", "go1.26.8" or, where any version would do, a path.
func (m Missing) String() string {
	switch {
	case m.Module == moduleGo:
		return "go" + m.Version
	case m.Version != "":
		return m.Module + "@" + m.Version
	}
	return m.Module
}

const (
	moduleGo      = "go"
	toolchainPath = "golang.org/toolchain"
	fileInfo      = "info"
	fileZip       = "zip"
	fileSum       = "sum" // the module's record in the checksum database
)

// A request is what the go command asks a GOPROXY for.
type request struct {
	path, version string // version is empty for a query of any
	file          string
}

// parseRequest reads a name below a GOPROXY.
func parseRequest(name string) (request, bool) {
	if rest, ok := strings.CutPrefix(name, "sumdb/"); ok {
		_, lookup, ok := strings.Cut(rest, "/lookup/")
		p, v, at := strings.Cut(lookup, "@")
		return unescaped(request{p, v, fileSum}, ok && at)
	}
	if p, ok := strings.CutSuffix(name, "/@latest"); ok {
		return unescaped(request{path: p, file: "latest"}, true)
	}
	p, file, ok := strings.Cut(name, "/@v/")
	if file == "list" {
		return unescaped(request{path: p, file: file}, ok)
	}
	ext := path.Ext(file)
	return unescaped(request{p, strings.TrimSuffix(file, ext), strings.TrimPrefix(ext, ".")}, ok && ext != "")
}

func unescaped(r request, ok bool) (request, bool) {
	var err error
	if r.path, err = module.UnescapePath(r.path); err != nil {
		return r, false
	}
	if r.version != "" {
		r.version, err = module.UnescapeVersion(r.version)
	}
	return r, ok && err == nil
}

// missing says what a command that failed lacked, of what it asked for. extracted says whether a
// module that was there has the package, or packages below it.
//
// Looking for the module of a package the go command asks for each path that it could have, so of
// paths that begin alike only the longest counts, and none if a module that was there has the package.
func missing(asked map[string]bool, extracted func(modulePath, pkg string) bool) []Missing {
	found, lacking := make(map[string]bool), make(map[module.Version][]string)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		r, ok := parseRequest(name)
		switch mv := (module.Version{Path: r.path, Version: r.version}); {
		case !ok:
		case asked[name]:
			found[r.path] = found[r.path] || r.file != fileSum
		case !slices.Contains(lacking[mv], r.file):
			lacking[mv] = append(lacking[mv], r.file)
		}
	}
	var list []Missing
	for mv, files := range lacking {
		probe := mv.Version == "" || len(files) == 1 && files[0] == fileInfo
		if probe && explained(mv, lacking, found, extracted) {
			continue
		}
		list = append(list, Missing{Module: mv.Path, Version: mv.Version, Files: files})
	}
	slices.SortFunc(list, func(a, b Missing) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// explained says whether there is nothing amiss in that a module path, of which no more was asked
// than whether it exists, does not.
func explained(mv module.Version, lacking map[module.Version][]string, found map[string]bool, extracted func(modulePath, pkg string) bool) bool {
	if mv.Version == "" && found[mv.Path] {
		return true
	}
	for other := range lacking {
		if other.Version == mv.Version && strings.HasPrefix(other.Path, mv.Path+"/") {
			return true
		}
	}
	for other := range found {
		switch {
		case strings.HasPrefix(other, mv.Path+"/"):
			return true
		case strings.HasPrefix(mv.Path, other+"/") && extracted(other, mv.Path):
			return true
		}
	}
	return false
}

// missing is [missing] for this rehearsal, with Go itself, and with what to do about it.
func (r *Rehearsal) missing(dir string, asked map[string]bool) []Missing {
	list := missing(asked, r.extracted)
	for i, m := range list {
		if goVersion, _, _, err := toolchain.ParseVersion(m.Version); m.Module == toolchainPath && err == nil {
			list[i] = Missing{Module: moduleGo, Version: strings.TrimPrefix(goVersion, "go")}
		}
	}
	files := r.modFiles(asked)
	isGo := func(m Missing) bool { return m.Module == moduleGo }
	if v := r.newerGo(dir, files); v != "" && !slices.ContainsFunc(list, isGo) {
		list = append(list, Missing{Module: moduleGo, Version: v})
	}
	list = slices.CompactFunc(list, func(a, b Missing) bool { return isGo(a) && isGo(b) }) // a file each of one toolchain
	required := required(files)
	for i := range list {
		list[i].Flag = flag(r.Bundle.Record, list[i], required)
	}
	return list
}

// extracted looks into the module cache, where the go command has put the modules whose packages
// it wanted to see.
func (r *Rehearsal) extracted(modulePath, pkg string) bool {
	escaped, err := module.EscapePath(modulePath)
	if err != nil {
		return false
	}
	pattern := filepath.Join(r.modCache(), filepath.FromSlash(escaped)) + "@*"
	versions, _ := filepath.Glob(pattern)
	return slices.ContainsFunc(versions, func(dir string) bool {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(pkg, modulePath+"/"))))
		return err == nil && info.IsDir()
	})
}
