package bundle

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"go/version"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
)

// A Record is the bundle's own account of itself, kept in the graph layer. It says nothing
// that the machine or the moment of packing would change.
type Record struct {
	Format     string         `json:"format"` // "1"
	Scope      string         `json:"scope"`
	GoVersion  string         `json:"goVersion,omitempty"` // of GOROOT, "go1.26.8"; empty: no toolchain is carried
	SumDB      string         `json:"sumdb,omitempty"`     // GOSUMDB for the isolated side: a name, or name and key; empty: no database
	NoSumDB    string         `json:"noSumDB,omitempty"`   // GONOSUMDB for the isolated side
	TreeHeads  []string       `json:"treeHeads,omitempty"` // signed tree heads before the bundle's own, by size: go commands that have seen one can go on with this bundle
	Modules    []RecordModule `json:"modules,omitempty"`
	Toolchains []RecordModule `json:"toolchains,omitempty"` // of all platforms
	Projects   []Project      `json:"projects,omitempty"`

	Tools       []RecordTool   `json:"tools,omitempty"`       // of all platforms
	ToolModules []RecordModule `json:"toolModules,omitempty"` // what tools were built of and is not carried whole

	Cgo []CgoPackage `json:"cgo,omitempty"` // sorted

	own       map[string]string // annotations of the user's, while the bundle is packed
	treeHeads []int64           // sizes of TreeHeads and, last, of the bundle's own, once these are proven
}

// A RecordModule is one module version of a bundle.
type RecordModule struct {
	Path     string `json:"path"`
	Version  string `json:"version"`
	Sum      string `json:"sum,omitempty"`        // of the zip; empty: only .info and .mod are carried
	GoModSum string `json:"goModSum,omitempty"`   // of the go.mod file
	NoSumDB  bool   `json:"notInSumDB,omitempty"` // the checksum database does not cover it
}

// A Project is a main module, or workspace, that the bundle was packed for, with the files
// that say what it needs, as they were.
type Project struct {
	Path      string `json:"path"`
	GoMod     string `json:"goMod,omitempty"`
	GoSum     string `json:"goSum,omitempty"`
	GoWork    string `json:"goWork,omitempty"`
	GoWorkSum string `json:"goWorkSum,omitempty"`
}

func (m RecordModule) String() string { return m.Path + "@" + m.Version }

func compareModules(a, b RecordModule) int {
	if c := strings.Compare(a.Path, b.Path); c != 0 {
		return c
	}
	if c := semver.Compare(a.Version, b.Version); c != 0 {
		return c
	}
	return strings.Compare(a.Version, b.Version)
}

func (r *Record) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// parseRecord reads a record, strictly: it must be what encode writes for it.
func parseRecord(data []byte) (*Record, error) {
	r := new(Record)
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(r); err != nil {
		return nil, err
	}
	if r.Format != formatVersion {
		return nil, fmt.Errorf("format %q, this goferry reads %q", r.Format, formatVersion)
	}
	again, err := r.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("not in canonical form")
	}
	for _, list := range [][]RecordModule{r.Modules, r.Toolchains, r.ToolModules} {
		if !slices.IsSortedFunc(list, compareModules) {
			return nil, fmt.Errorf("modules are not sorted")
		}
		for i, m := range list {
			if i > 0 && compareModules(list[i-1], m) == 0 {
				return nil, fmt.Errorf("%s stands twice", m)
			}
			if _, err := module.EscapePath(m.Path); err != nil {
				return nil, err
			}
			if _, err := module.EscapeVersion(m.Version); err != nil {
				return nil, err
			}
		}
	}
	return r, cmp.Or(r.checkTools(), r.checkCgo(), r.checkWords())
}

// checkGoVersion holds the toolchains against the Go version that the record says GOROOT has.
func (r *Record) checkGoVersion() error {
	for _, t := range r.Toolchains {
		if _, _, _, err := toolchain.ParseVersion(t.Version); err != nil || t.Path != toolchainPath {
			return fmt.Errorf("%s is not a toolchain", t)
		}
	}
	for _, m := range r.Modules {
		if m.Path == toolchainPath {
			return fmt.Errorf("%s is among the modules", m)
		}
	}
	versions := r.GoVersions()
	if r.GoVersion == "" && len(versions) > 0 || r.GoVersion != "" && !slices.Contains(versions, r.GoVersion) {
		return fmt.Errorf("it says Go version %q, and has the toolchains %q", r.GoVersion, versions)
	}
	return nil
}

// goVersions returns the Go versions of the toolchains, each once, the oldest first.
func (r *Record) GoVersions() []string {
	var versions []string
	for _, t := range r.Toolchains {
		if v, _, _, err := toolchain.ParseVersion(t.Version); err == nil {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, version.Compare)
	return slices.Compact(versions)
}

// toolchains returns the toolchains of one platform.
func (r *Record) toolchains(p gomod.Platform) []RecordModule {
	return slices.DeleteFunc(slices.Clone(r.Toolchains), func(m RecordModule) bool {
		_, goos, goarch, err := toolchain.ParseVersion(m.Version)
		return err != nil || goos != p.OS || goarch != p.Arch
	})
}

// goSums returns the "h1:" sums that the projects' go.sum files have, by "path version" and
// "path version/go.mod", as go.sum's lines begin.
func (r *Record) goSums() map[string][]string {
	sums := make(map[string][]string)
	for _, p := range r.Projects {
		for _, text := range []string{p.GoSum, p.GoWorkSum} {
			for line := range strings.Lines(text) {
				if f := strings.Fields(line); len(f) == 3 {
					key := f[0] + " " + f[1]
					if !slices.Contains(sums[key], f[2]) {
						sums[key] = append(sums[key], f[2])
					}
				}
			}
		}
	}
	return sums
}
