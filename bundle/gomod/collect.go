package gomod

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"go/version"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// collect finds the files of everything in s, and fetches what the go
// commands could do without, such as the .info of a module that was built
// from an incomplete cache.
func (g *goCommand) collect(ctx context.Context, s *set, c *Captured) error {
	if err := g.complete(ctx, sortedKeys(s.zips)); err != nil {
		return err
	}
	if err := g.completeInfos(ctx, s); err != nil {
		return err
	}
	for _, m := range sortedKeys(s.zips) {
		mod, err := g.files(m, true, true)
		if err != nil {
			return err
		}
		if mod.Zip, mod.Size, err = g.scratchZip(m); err != nil {
			return err
		}
		mod.Local = g.local[m]
		c.Modules = append(c.Modules, mod)
		g.progress(Event{Phase: "capture", Module: m.String(), Bytes: mod.Size})
		if s.built[m] {
			s.raiseByDependency(mod)
		}
	}
	graph := maps.Clone(s.mods)
	maps.Copy(graph, s.infos)
	for _, m := range sortedKeys(graph) {
		if s.zips[m] {
			continue
		}
		mod, err := g.files(m, s.infos[m], s.mods[m])
		if err != nil {
			return err
		}
		c.GraphOnly = append(c.GraphOnly, mod)
	}
	return nil
}

// complete fetches whichever of .info, .mod and .zip the scratch cache lacks.
func (g *goCommand) complete(ctx context.Context, mods []module.Version) error {
	var lacking []string
	for _, m := range mods {
		tree, err := escape(m, "@")
		if err != nil {
			return err
		}
		for _, ext := range []string{".info", ".mod", ".zip"} {
			name, err := g.cacheFile(m, ext)
			if err != nil {
				return err
			}
			if _, err := os.Stat(name); err != nil {
				lacking = append(lacking, m.Path+"@"+m.Version)
				// The go command takes an existing directory for the extracted
				// tree, which nobody reads any more.
				if err := os.MkdirAll(g.path("mod", tree), 0o755); err != nil {
					return fmt.Errorf("capture: %w", err)
				}
				break
			}
		}
	}
	for batch := range slices.Chunk(lacking, 100) {
		out, err := g.module(ctx, g.path("idle"), append([]string{"mod", "download", "-json"}, batch...)...)
		_, failed, err := downloads(out, err)
		if err == nil {
			err = joinErrors(failed)
		}
		if err != nil {
			return fmt.Errorf("capture: %w", err)
		}
	}
	return nil
}

// completeInfos fetches the .info files of replacements that the go command has listed without them: where GONOPROXY is
// set, it is content to know that they replace something.
func (g *goCommand) completeInfos(ctx context.Context, s *set) error {
	var lacking []string
	for _, m := range sortedKeys(s.infos) {
		name, err := g.cacheFile(m, ".info")
		if err != nil {
			return err
		}
		if _, err := os.Stat(name); err != nil {
			lacking = append(lacking, m.Path+"@"+m.Version)
			delete(s.infos, m)
		}
	}
	for batch := range slices.Chunk(lacking, 100) {
		out, err := g.module(ctx, g.path("idle"), append([]string{"list", "-m", "-e", "-json"}, batch...)...)
		if err == nil {
			err = s.addList(g, out)
		}
		if err != nil {
			return fmt.Errorf("capture: %w", err)
		}
	}
	return nil
}

// files reads the small files of m from the scratch cache.
func (g *goCommand) files(m module.Version, withInfo, withMod bool) (Module, error) {
	mod := Module{Path: m.Path, Version: m.Version}
	if withInfo {
		data, err := g.readCache(m, ".info")
		if err != nil {
			return mod, err
		}
		if mod.Info, err = normalInfo(m, data); err != nil {
			return mod, err
		}
	}
	if withMod {
		data, err := g.readCache(m, ".mod")
		if err != nil {
			return mod, err
		}
		mod.Mod = data
	}
	return mod, nil
}

func (g *goCommand) readCache(m module.Version, ext string) ([]byte, error) {
	name, err := g.cacheFile(m, ext)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("capture %s: %w", m, err)
	}
	return data, nil
}

func (g *goCommand) scratchZip(m module.Version) (name string, size int64, err error) {
	if name, err = g.cacheFile(m, ".zip"); err != nil {
		return "", 0, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return "", 0, fmt.Errorf("capture %s: %w", m, err)
	}
	return name, info.Size(), nil
}

// cacheFile names a file of m in the scratch cache.
func (g *goCommand) cacheFile(m module.Version, ext string) (string, error) {
	name, err := escape(m, "/@v/")
	if err != nil {
		return "", err
	}
	return g.path("mod", "cache", "download", name+ext), nil
}

// normalInfo brings an .info file into the one form that is carried. What else
// is in it (the origin, mostly) depends on who fetched the module, and how.
func normalInfo(m module.Version, data []byte) ([]byte, error) {
	var info struct {
		Version string
		Time    *time.Time `json:",omitempty"`
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("capture %s: .info: %w", m, err)
	}
	info.Version = m.Version
	if info.Time != nil {
		if info.Time.IsZero() {
			info.Time = nil
		} else {
			*info.Time = info.Time.UTC()
		}
	}
	out, err := json.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("capture %s: .info: %w", m, err)
	}
	return out, nil
}

// raiseByDependency takes the go line of a dependency into account, which the
// go command insists on as on the main module's own.
func (s *set) raiseByDependency(m Module) {
	f, err := modfile.ParseLax(m.Path+"/go.mod", m.Mod, nil)
	if err == nil && f.Go != nil && version.IsValid("go"+f.Go.Version) {
		s.raiseTo("go" + f.Go.Version)
	}
}

func sortedKeys(set map[module.Version]bool) []module.Version {
	mods := slices.Collect(maps.Keys(set))
	slices.SortFunc(mods, func(a, b module.Version) int {
		return cmp.Or(
			strings.Compare(a.Path, b.Path),
			semver.Compare(a.Version, b.Version),
			strings.Compare(a.Version, b.Version), // semver passes over +incompatible
		)
	})
	return mods
}
