package rehearse

import (
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle"
)

// flag is the flag of pack that adds to a bundle what it lacks. The go.mod files that were asked
// for require the given modules.
func flag(r *bundle.Record, m Missing, required map[module.Version]bool) string {
	mv := module.Version{Path: m.Module, Version: m.Version}
	graphOnly := !slices.Contains(m.Files, fileZip)
	switch {
	case m.Module == moduleGo:
		return "--toolchain go" + m.Version
	case m.Module == toolchainPath:
		return "--toolchain VERSION"
	case m.Version == "":
		if repo := repository(m.Module); !carried(r, repo) {
			return "--module " + repo + "@latest"
		}
		return "--module " + m.Module + "@latest" // a module of its own in that repository
	case r.Scope == "build" && (inGraph(r, mv) || graphOnly && required[mv]):
		return "--scope dev"
	case r.Scope == "dev" && inGraph(r, mv):
		return "--scope all"
	}
	return "--module " + mv.String()
}

// inGraph says whether the projects of the bundle know of the module version.
func inGraph(r *bundle.Record, mv module.Version) bool {
	if slices.ContainsFunc(r.Modules, func(m bundle.RecordModule) bool { return m.Path == mv.Path && m.Version == mv.Version }) {
		return true
	}
	return slices.ContainsFunc(r.Projects, func(p bundle.Project) bool {
		sums := "\n" + p.GoSum + "\n" + p.GoWorkSum
		line := "\n" + mv.Path + " " + mv.Version
		return strings.Contains(sums, line+" ") || strings.Contains(sums, line+"/go.mod ")
	})
}

func carried(r *bundle.Record, modulePath string) bool {
	return slices.ContainsFunc(r.Modules, func(m bundle.RecordModule) bool { return m.Path == modulePath })
}

const maxGoMod = 16 << 20 // the go command's own limit

// modFiles returns the go.mod files of modules that the command asked for and got.
func (r *Rehearsal) modFiles(asked map[string]bool) []*modfile.File {
	var files []*modfile.File
	for name, found := range asked {
		if !found || !strings.HasSuffix(name, ".mod") {
			continue
		}
		data, err := r.readTree(name)
		if err != nil {
			continue
		}
		if f, err := modfile.ParseLax(name, data, nil); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// required returns all that go.mod files require.
func required(files []*modfile.File) map[module.Version]bool {
	set := make(map[module.Version]bool)
	for _, f := range files {
		for _, req := range f.Require {
			set[req.Mod] = true
		}
	}
	return set
}

// readTree reads a file that the proxy has handed out.
func (r *Rehearsal) readTree(name string) ([]byte, error) {
	f, err := os.OpenInRoot(r.download(), name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxGoMod))
}

// repository cuts the path of a package to that of its repository, where that is known.
func repository(pkg string) string {
	elem := strings.Split(pkg, "/")
	switch elem[0] {
	case "github.com", "gitlab.com", "bitbucket.org":
		if len(elem) > 3 && !(len(elem) == 4 && isMajor(elem[3])) {
			return strings.Join(elem[:3], "/")
		}
	case "golang.org":
		if len(elem) > 3 && elem[1] == "x" {
			return strings.Join(elem[:3], "/")
		}
	}
	return pkg
}

// isMajor says whether a path element is a major version's, such as "v2".
func isMajor(s string) bool {
	_, major, ok := module.SplitPathVersion("example.com/" + s)
	return ok && major != ""
}
