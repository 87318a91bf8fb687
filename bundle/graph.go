package bundle

import (
	"archive/tar"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/goferry/goferry/bundle/toolchain"
)

// graphFiles returns what a graph layer holds apart from the record and the checksum
// database's files: .info and .mod of the modules without a zip, and the answers to version
// queries. infos has the .info of every module in r, mods the .mod of those without a zip, by
// "path@version".
func graphFiles(r *Record, infos, mods map[string][]byte) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, m := range r.Modules {
		if m.Sum != "" {
			continue
		}
		v := module.Version{Path: m.Path, Version: m.Version}
		for ext, data := range map[string][]byte{".info": infos[m.String()], ".mod": mods[m.String()]} {
			if data == nil {
				continue
			}
			name, err := moduleFile(v, ext)
			if err != nil {
				return nil, err
			}
			files[name] = data
		}
	}
	for path, versions := range queryable(r.Modules) {
		esc, err := module.EscapePath(path)
		if err != nil {
			return nil, err
		}
		files[downloadDir+esc+"/@v/list"] = listAnswer(versions)
		if info := infos[path+"@"+latest(versions)]; info != nil {
			files[downloadDir+esc+"/@latest"] = info
		}
	}
	return files, r.addToolchainAnswers(files)
}

// addToolchainAnswers adds what the go command asks before it knows which toolchain to switch to:
// which versions there are, and, on any platform, whether there is one for linux/amd64 (see
// toolchainRepo in cmd/go/internal/modfetch).
func (r *Record) addToolchainAnswers(files map[string][]byte) error {
	var versions []string
	for _, t := range r.Toolchains {
		versions = append(versions, t.Version)
	}
	if len(versions) == 0 {
		return nil
	}
	files[downloadDir+toolchainPath+"/@v/list"] = listAnswer(versions)
	for _, v := range r.GoVersions() {
		m := module.Version{Path: toolchainPath, Version: toolchain.ModuleVersion(v, "linux", "amd64")}
		name, err := moduleFile(m, ".info")
		if err != nil {
			return err
		}
		files[name] = toolchain.Info(m.Version)
	}
	return nil
}

// queryable returns the versions of each module path that may answer a query: those with a
// zip, or, of modules that are only part of the graph, all.
func queryable(modules []RecordModule) map[string][]string {
	versions := make(map[string][]string)
	zips := make(map[string]bool)
	for _, m := range modules {
		if m.Sum != "" {
			zips[m.Path] = true
		}
	}
	for _, m := range modules {
		if m.Sum != "" || !zips[m.Path] {
			versions[m.Path] = append(versions[m.Path], m.Version)
		}
	}
	return versions
}

// listAnswer is the body of a GOPROXY's $module/@v/list: one version a line, no
// pseudo-versions (see "go help goproxy").
func listAnswer(versions []string) []byte {
	var b strings.Builder
	for _, v := range versions {
		if !module.IsPseudoVersion(v) {
			b.WriteString(v + "\n")
		}
	}
	return []byte(b.String())
}

// latest chooses as the go command does: the highest release, else the highest
// pre-release, else the highest pseudo-version.
func latest(versions []string) string {
	rank := func(v string) int {
		switch {
		case module.IsPseudoVersion(v):
			return 0
		case semver.Prerelease(v) != "":
			return 1
		}
		return 2
	}
	return slices.MaxFunc(versions, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return semver.Compare(a, b)
	})
}

// writeGraph writes the graph layer: the directory /tmp, which an image needs to run the go
// command, and the files, sorted by name.
func writeGraph(w io.Writer, files map[string][]byte) error {
	tw := tar.NewWriter(w)
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: tmpDir, Mode: 0o1777, ModTime: epoch}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writeTarFile(tw, name, files[name]); err != nil {
			return err
		}
	}
	return tw.Close()
}
