package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"go/version"
	"runtime/debug"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
)

// A RecordTool is a command that was built for one platform.
type RecordTool struct {
	Package   string   `json:"package"`
	Version   string   `json:"version"`  // of its module
	Module    string   `json:"module"`   // its path
	Platform  string   `json:"platform"` // "linux/amd64"
	GoVersion string   `json:"goVersion"`
	Modules   []string `json:"modules"` // "path@version" of all that it was built of, its own among them; sorted
}

func (t RecordTool) String() string { return t.Package + "@" + t.Version }

func compareTools(a, b RecordTool) int {
	if c := strings.Compare(a.Package, b.Package); c != 0 {
		return c
	}
	return strings.Compare(a.Platform, b.Platform)
}

// recordTool says of a tool what its executable says.
func recordTool(t gomod.Tool) RecordTool {
	r := RecordTool{Package: t.Package, Version: t.Version, Module: t.Info.Main.Path, Platform: t.Platform.String(), GoVersion: t.Info.GoVersion}
	for _, m := range builtOf(t.Info) {
		r.Modules = append(r.Modules, m.String())
	}
	return r
}

// builtOf returns the modules that an executable says it was built of, sorted.
func builtOf(info *debug.BuildInfo) []RecordModule {
	modules := []RecordModule{{Path: info.Main.Path, Version: info.Main.Version, Sum: info.Main.Sum}}
	for _, d := range info.Deps {
		modules = append(modules, RecordModule{Path: d.Path, Version: d.Version, Sum: d.Sum})
	}
	slices.SortFunc(modules, compareModules)
	return modules
}

// toolsFor returns the tools of one platform.
func (r *Record) toolsFor(p gomod.Platform) []RecordTool {
	return slices.DeleteFunc(slices.Clone(r.Tools), func(t RecordTool) bool { return t.Platform != p.String() })
}

// ToolNames returns the tools by package and version, each once.
func (r *Record) ToolNames() []string {
	var names []string
	for _, t := range r.Tools {
		names = append(names, t.String())
	}
	return slices.Compact(names)
}

// toolSums returns the sums of the modules that tools are built of, by "path@version".
func (r *Record) toolSums() map[string]string {
	sums := make(map[string]string)
	for _, m := range slices.Concat(r.Modules, r.ToolModules) {
		if m.Sum != "" {
			sums[m.String()] = m.Sum
		}
	}
	return sums
}

// checkTools refuses tools that are not such as Pack enters them.
func (r *Record) checkTools() error {
	if !slices.IsSortedFunc(r.Tools, compareTools) {
		return errors.New("tools are not sorted")
	}
	sums, used, files := r.toolSums(), make(map[string]bool), make(map[string]bool)
	for _, t := range r.Tools {
		file, err := t.file()
		if err != nil {
			return err
		}
		place := toolPlace(t.Platform, file)
		if files[place] {
			return fmt.Errorf("%s has %s twice", t.Platform, file)
		}
		files[place] = true
		if !slices.Contains(t.Modules, t.Module+"@"+t.Version) {
			return fmt.Errorf("tool %s is not built of %s", t, t.Module)
		}
		for _, m := range t.Modules {
			if used[m] = true; sums[m] == "" {
				return fmt.Errorf("tool %s is built of %s, of which there is no sum", t, m)
			}
		}
	}
	for _, m := range r.ToolModules {
		if !used[m.String()] || !isSum(m.Sum) || m.GoModSum != "" {
			return fmt.Errorf("no tool is built of %s", m)
		}
	}
	return nil
}

// file is the name that the tool's executable has in its layer.
func (t RecordTool) file() (string, error) {
	goos, goarch, _ := strings.Cut(t.Platform, "/")
	if !isWord(goos) || !isWord(goarch) || !version.IsValid(t.GoVersion) {
		return "", fmt.Errorf("tool %s is for %q, of %q", t, t.Platform, t.GoVersion)
	}
	return toolFile(t.Package, gomod.Platform{OS: goos, Arch: goarch})
}

// toolPlace is the same for executables that take each other's place, as names do on some systems that differ in case.
func toolPlace(platform, file string) string { return platform + " " + strings.ToLower(file) }

// toolFile returns the name of a tool's executable in its layer. It cannot be one of GOROOT's, beside which it is
// unpacked.
func toolFile(pkg string, p gomod.Platform) (string, error) {
	const longest = 64 // what a tar header can hold and any file system
	name := gomod.ToolName(pkg)
	if err := module.CheckImportPath(pkg); err != nil {
		return "", err
	}
	if strings.EqualFold(name, "go") || strings.EqualFold(name, "gofmt") || len(name) > longest {
		return "", fmt.Errorf("no tool can be called %s", name)
	}
	if p.OS == "windows" {
		name += ".exe"
	}
	return toolDir + name, nil
}

// layerTool returns the tool that a layer's descriptor names, if it is a proper one.
func layerTool(desc ocispec.Descriptor) (pkg, v string, ok bool) {
	pkg, v, ok = strings.Cut(desc.Annotations[AnnotationTool], "@")
	if !ok || !isSum(desc.Annotations[AnnotationSum]) || module.CheckImportPath(pkg) != nil {
		return "", "", false
	}
	_, err := module.EscapeVersion(v)
	return pkg, v, err == nil
}

// toolTar lays out the tar of a tool's layer around the executable: what stands before it and what behind.
func toolTar(file string, size int64) (head, tail []byte, err error) {
	h := tarFile(file, size)
	h.Mode = 0o755
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, nil, err
	}
	const block, trailer = 512, 1024
	return b.Bytes(), make([]byte, (block-size%block)%block+trailer), nil
}

// checkInfo holds what an executable says of itself against the record, whose sums are given.
func (t RecordTool) checkInfo(info *debug.BuildInfo, sums map[string]string) error {
	if info.Path != t.Package || info.Main.Path != t.Module || info.Main.Version != t.Version {
		return fmt.Errorf("the executable is %s of %s@%s", info.Path, info.Main.Path, info.Main.Version)
	}
	goos, goarch, _ := strings.Cut(t.Platform, "/")
	said := map[string]string{"GOOS": goos, "GOARCH": goarch, "CGO_ENABLED": "0", "-trimpath": "true"}
	for _, s := range info.Settings {
		if want, ok := said[s.Key]; ok && s.Value != want {
			return fmt.Errorf("the executable was built with %s=%s", s.Key, s.Value)
		}
		delete(said, s.Key)
	}
	if len(said) > 0 || info.GoVersion != t.GoVersion {
		return fmt.Errorf("the executable was built by %s, and does not say all of how", info.GoVersion)
	}
	if slices.ContainsFunc(info.Deps, func(m *debug.Module) bool { return m.Replace != nil }) || info.Main.Replace != nil {
		return errors.New("the executable was built of a replaced module")
	}
	modules := builtOf(info)
	if len(modules) != len(t.Modules) {
		return fmt.Errorf("the executable was built of %d modules, not of %d", len(modules), len(t.Modules))
	}
	for i, m := range modules {
		if m.String() != t.Modules[i] || m.Sum != sums[m.String()] {
			return fmt.Errorf("the executable was built of %s %s, the bundle says %s %s", m, m.Sum, t.Modules[i], sums[t.Modules[i]])
		}
	}
	return nil
}
