package gomod

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/module"
)

// A memory remembers what was captured from the same files by the same go
// command with the same options.
type memory struct {
	g      *goCommand
	opts   Options
	mains  []mainModule
	spaces []workspace
	dir    string // "" remembers nothing
	key    string
	racy   bool // as in sources
}

// A remembered is what is kept of a capture: nothing that is read anew, and of
// zips the sizes.
type remembered struct {
	Modules, GraphOnly []Module
	Toolchains         []Toolchain
	Cgo                []CgoPackage
	GoVersion          string
	Warnings           []string
}

const (
	memoryFormat = "goferry capture 2"
	maxMemories  = 64
)

// openMemory returns a memory that remembers nothing where the answer does not
// depend on the files alone.
func (g *goCommand) openMemory(opts Options, mains []mainModule, spaces []workspace) *memory {
	m := &memory{g: g, opts: opts, mains: mains, spaces: spaces}
	isQuery := func(m module.Version) bool { return module.CanonicalVersion(m.Version) != m.Version || m.Version == "" }
	makes := len(opts.Tools) > 0 || opts.ProjectTools || len(opts.Locals) > 0
	if opts.CacheDir == "" || makes || slices.Contains(opts.Toolchains, "latest") || slices.ContainsFunc(opts.Modules, isQuery) {
		return m
	}
	s, err := m.sources()
	if err != nil {
		return m
	}
	m.racy = s.racy
	m.dir, m.key = filepath.Join(opts.CacheDir, "captures"), s.sum()
	return m
}

// idleSettings are those parts of "go env" that say where files go.
var idleSettings = []string{
	"GOBIN", "GOCACHE", "GOCACHEPROG", "GOGCCFLAGS", "GOMOD", "GOMODCACHE", "GOPATH",
	"GOTELEMETRY", "GOTELEMETRYDIR", "GOTMPDIR", "GOWORK",
}

func (m *memory) sources() (*sources, error) {
	s := newSources()
	s.add(memoryFormat)
	for _, name := range slices.Sorted(maps.Keys(m.g.settings)) {
		if !slices.Contains(idleSettings, name) {
			s.add(name, m.g.settings[name])
		}
	}
	// Which go command it switches to, "go env" was kept from telling.
	s.add(lookupEnv(m.opts.Env, "GOTOOLCHAIN"))
	for _, name := range []string{m.g.settings["GOENV"], filepath.Join(m.g.settings["GOROOT"], "go.env")} {
		if !filepath.IsAbs(name) {
			continue // GOENV=off
		}
		if err := s.addFile(name); err != nil {
			return nil, err
		}
	}
	s.add(string(m.opts.Scope))
	for _, v := range m.opts.Toolchains {
		s.add("toolchain", v)
	}
	for _, p := range m.opts.Platforms {
		s.add("platform", p.OS, p.Arch)
	}
	for _, mod := range m.opts.Modules {
		s.add("module", mod.Path, mod.Version)
	}
	return s, s.addProjects(m.mains, m.spaces)
}

// recall fills c with what is remembered, if anything is, and every zip can
// still be found.
func (m *memory) recall(c *Captured) bool {
	if m.dir == "" {
		return false
	}
	name := filepath.Join(m.dir, m.key)
	data, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	r, ok := parseMemory(data)
	if !ok || !m.findZips(&r) {
		return false
	}
	now := time.Now()
	os.Chtimes(name, now, now) // the oldest go first
	c.Modules, c.GraphOnly, c.Toolchains, c.cgo, c.GoVersion = r.Modules, r.GraphOnly, r.Toolchains, r.Cgo, r.GoVersion
	for _, w := range r.Warnings {
		m.g.warn(w)
	}
	for _, mod := range c.Modules {
		m.g.progress(Event{Phase: "capture", Module: mod.Path + "@" + mod.Version, Bytes: mod.Size})
	}
	for _, t := range c.Toolchains {
		m.g.progress(Event{Phase: "toolchain", Module: t.Module.Path + "@" + t.Module.Version, Bytes: t.Module.Size})
	}
	return true
}

func (m *memory) findZips(r *remembered) bool {
	find := func(mod *Module) bool {
		name, size := m.g.find(module.Version{Path: mod.Path, Version: mod.Version})
		mod.Zip = name
		return name != "" && size == mod.Size
	}
	for i := range r.Modules {
		if !find(&r.Modules[i]) {
			return false
		}
	}
	for i := range r.Toolchains {
		if !find(&r.Toolchains[i].Module) {
			return false
		}
	}
	return true
}

// remember writes down c, unless a file has changed since its key was made.
// Failure costs the next capture time, and nothing else.
func (m *memory) remember(c *Captured, warnings []string) {
	if m.dir == "" || m.racy {
		return
	}
	if s, err := m.sources(); err != nil || s.sum() != m.key {
		return
	}
	data, err := formatMemory(forgetPlaces(c, warnings))
	if err != nil || os.MkdirAll(m.dir, 0o700) != nil {
		return
	}
	if writeWhole(filepath.Join(m.dir, m.key), bytes.NewReader(data)) == nil {
		forget(m.dir)
	}
}

// forgetPlaces returns what is remembered of c: where the zips were is not.
func forgetPlaces(c *Captured, warnings []string) remembered {
	r := remembered{slices.Clone(c.Modules), c.GraphOnly, slices.Clone(c.Toolchains), c.cgo, c.GoVersion, warnings}
	for i := range r.Modules {
		r.Modules[i].Zip = ""
	}
	for i := range r.Toolchains {
		r.Toolchains[i].Module.Zip = ""
	}
	return r
}

// forget removes the oldest files of dir beyond maxMemories.
func forget(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	type file struct {
		name string
		time time.Time
	}
	var files []file
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			files = append(files, file{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return b.time.Compare(a.time) })
	for _, f := range files[min(len(files), maxMemories):] {
		os.Remove(filepath.Join(dir, f.name))
	}
}

// formatMemory writes r in JSON, below a line with the SHA-256 of that.
func formatMemory(r remembered) ([]byte, error) {
	data, err := json.Marshal(r)
	return append([]byte(sumLine(data)), data...), err
}

func sumLine(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]) + "\n"
}

func parseMemory(file []byte) (r remembered, ok bool) {
	line, data, _ := bytes.Cut(file, []byte("\n"))
	if string(line)+"\n" != sumLine(data) {
		return r, false
	}
	return r, json.Unmarshal(data, &r) == nil
}
