package gomod

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// downloads is the download directory of the user's GOMODCACHE.
func (g *goCommand) downloads() string {
	return filepath.Join(g.user.GOMODCACHE, "cache", "download")
}

// find returns the name and the size of the zip of m in the user's GOMODCACHE
// or among the kept downloads; "" if neither has it.
func (g *goCommand) find(m module.Version) (name string, size int64) {
	elem, err := escape(m, "/@v/")
	if err != nil {
		return "", 0
	}
	for _, dir := range []string{g.downloads(), g.kept} {
		if !filepath.IsAbs(dir) {
			continue
		}
		name := filepath.Join(dir, elem+".zip")
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name, info.Size()
		}
	}
	return "", 0
}

// keep puts what the go command has fetched into the scratch GOMODCACHE, where
// all else is links, among the kept downloads. What cannot be kept is fetched
// again by the next capture, that is all.
func (g *goCommand) keep() {
	if g.kept == "" {
		return
	}
	from := g.path("mod", "cache", "download")
	filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		switch rel, relErr := filepath.Rel(from, name); {
		case err != nil || relErr != nil:
			return fs.SkipDir
		case d.IsDir() && rel == "sumdb":
			return fs.SkipDir
		case d.Type().IsRegular() && isDownload(rel) && !g.isLocal(rel):
			publish(name, filepath.Join(g.kept, rel))
		}
		return nil
	})
}

// isDownload reports whether name, below a download directory, is a file that
// never changes.
func isDownload(name string) bool {
	if filepath.Base(filepath.Dir(name)) != "@v" {
		return false
	}
	ext := filepath.Ext(name)
	version, err := module.UnescapeVersion(strings.TrimSuffix(filepath.Base(name), ext))
	return err == nil && module.CanonicalVersion(version) == version &&
		slices.Contains([]string{".info", ".mod", ".zip"}, ext)
}

// isLocal reports whether name, below the download directory of the scratch cache, is a file that was made here.
func (g *goCommand) isLocal(name string) bool {
	for m := range g.local {
		if elem, err := escape(m, "/@v/"); err == nil && strings.TrimSuffix(name, filepath.Ext(name)) == elem {
			return true
		}
	}
	return false
}

// publish makes the file from appear whole under the name to. Several
// processes may do so at once, since what they have is the same.
func publish(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.Link(from, to); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	in, err := os.Open(from) // on another file system
	if err != nil {
		return err
	}
	defer in.Close()
	return writeWhole(to, in)
}

// writeWhole writes the file name by way of a temporary one.
func writeWhole(name string, from io.Reader) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := io.Copy(f, from); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// leaveScratch makes c name its zips where they stay, and reports whether all
// of them do.
func (g *goCommand) leaveScratch(c *Captured) bool {
	all := len(c.Tools) == 0
	for i := range c.Modules {
		all = g.leave(&c.Modules[i]) && all
	}
	for i := range c.Toolchains {
		all = g.leave(&c.Toolchains[i].Module) && all
	}
	return all
}

func (g *goCommand) leave(mod *Module) bool {
	if mod.Local {
		return false
	}
	name, size := g.find(module.Version{Path: mod.Path, Version: mod.Version})
	if name == "" || size != mod.Size {
		return false
	}
	mod.Zip = name
	return true
}
