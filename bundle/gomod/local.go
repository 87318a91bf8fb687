package gomod

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// A Local is a directory with a module that is nowhere to be fetched from, and the version that it becomes.
type Local struct {
	Dir, Version string
}

var (
	// ErrLocal says that a directory cannot become the module version that was asked for.
	ErrLocal = errors.New("not a module to publish")
	// ErrTaken says that there is that version of a module already, with other content.
	ErrTaken = errors.New("that version is taken")
)

// placeLocals makes modules of directories, puts them into the scratch cache as if they had been fetched, and returns
// them. Whatever the user's cache has of them is no longer linked there.
func (g *goCommand) placeLocals(locals []Local) ([]module.Version, error) {
	var placed []module.Version
	for _, l := range locals {
		m, err := g.placeLocal(l)
		if err == nil && slices.Contains(placed, m) {
			err = fmt.Errorf("%w: %s is made of another directory, too", ErrLocal, m)
		}
		if err != nil {
			return nil, fmt.Errorf("local module %s: %w", l.Dir, err)
		}
		placed = append(placed, m)
	}
	return placed, nil
}

func (g *goCommand) placeLocal(l Local) (m module.Version, err error) {
	if l.Dir, err = filepath.Abs(l.Dir); err == nil {
		l.Dir, err = filepath.EvalSymlinks(l.Dir) // a link is not walked into
	}
	if err != nil {
		return m, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	m, goMod, err := l.module()
	if err != nil {
		return m, err
	}
	g.progress(Event{Phase: "resolve", Module: m.String()})
	files, err := g.localFiles(l, m)
	if err != nil {
		return m, err
	}
	name, err := g.cacheFile(m, "")
	if err != nil {
		return m, err
	}
	if err := g.unlink(m, name); err != nil {
		return m, err
	}
	g.local[m] = true
	if err := errors.Join(writeNew(name+".info", localInfo(m)), writeNew(name+".mod", goMod)); err != nil {
		return m, err
	}
	if err := writeZip(name+".zip", m, files); err != nil {
		return m, err
	}
	return m, g.checkTaken(m, name+".zip")
}

// unlink removes the links to what the user's cache has of m. Writing to them would follow them.
func (g *goCommand) unlink(m module.Version, name string) error {
	tree, err := escape(m, "@")
	if err != nil {
		return err
	}
	for _, link := range []string{name + ".info", name + ".mod", name + ".zip", name + ".ziphash", g.path("mod", tree)} {
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// writeZip writes the zip of a module. Its bytes are those of the compressor that goferry was built with; its sum is
// that of the files.
func writeZip(name string, m module.Version, files []zip.File) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := zip.Create(f, m, files); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrLocal, err), f.Close())
	}
	return f.Close()
}

// module reads which module the directory has.
func (l Local) module() (m module.Version, goMod []byte, err error) {
	name := filepath.Join(l.Dir, "go.mod")
	info, err := os.Lstat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > zip.MaxGoMod) {
		err = fmt.Errorf("%s is not a file, or too large", name) // a link is in no module
	}
	if err == nil {
		goMod, err = os.ReadFile(name)
	}
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	f, err := modfile.Parse(name, goMod, nil)
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	if f.Module == nil {
		return m, nil, fmt.Errorf("%w: %s has no module line", ErrLocal, name)
	}
	m = module.Version{Path: f.Module.Mod.Path, Version: l.Version}
	switch err := module.Check(m.Path, m.Version); {
	case err != nil:
		return m, nil, fmt.Errorf("%w: %w", ErrLocal, err)
	case module.CanonicalVersion(m.Version) != m.Version || strings.HasSuffix(m.Version, "+incompatible"):
		return m, nil, fmt.Errorf("%w: %s: the version has to be one like v1.4.0", ErrLocal, m)
	case m.Path == toolchainPath:
		return m, nil, fmt.Errorf("%w: %s is a toolchain", ErrLocal, m)
	}
	return m, goMod, nil
}

// localFiles returns the files that the module consists of by the go command's rules. Of a git repository those are
// what git tracks: keys, bundles and whatever else lies about in a working tree is published by nobody's intention.
func (g *goCommand) localFiles(l Local, m module.Version) ([]zip.File, error) {
	checked, err := zip.CheckDir(l.Dir)
	if err == nil {
		err = checked.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLocal, err)
	}
	tracked, err := g.gitTracks(l.Dir)
	if err != nil {
		return nil, err
	}
	var files []zip.File
	var left []string
	for _, name := range checked.Valid {
		rel, err := filepath.Rel(l.Dir, name)
		if err != nil {
			return nil, err
		}
		f := localFile{path: filepath.ToSlash(rel), name: name}
		switch {
		case filepath.Base(name) == ".git": // of a worktree: it names a directory of this machine
		case tracked != nil && !tracked[f.path]:
			left = append(left, f.path)
		default:
			files = append(files, f)
		}
	}
	if slices.Contains(left, "go.mod") {
		return nil, fmt.Errorf("%w: git does not track its go.mod file", ErrLocal)
	}
	if len(left) > 0 {
		what := left[0]
		if more := len(left) - 1; more > 0 {
			what += fmt.Sprintf(" and %d more", more)
		}
		g.warn(fmt.Sprintf("%s is made without what git does not track: %s", m, what))
	}
	return files, nil
}

// localInfo is the .info file of a module that nobody has published. Its time is that of no machine and no moment, or
// else the module would not be the same wherever it is made.
func localInfo(m module.Version) []byte {
	at := time.Unix(0, 0)
	if t, err := module.PseudoVersionTime(m.Version); err == nil {
		at = t
	}
	return fmt.Appendf(nil, `{"Version":%q,"Time":%q}`, m.Version, at.UTC().Format(time.RFC3339))
}

// checkTaken refuses a version that was fetched before, from wherever it was published, and is another.
func (g *goCommand) checkTaken(m module.Version, made string) error {
	fetched, _ := g.find(m)
	if fetched == "" {
		return nil
	}
	is, err := dirhash.HashZip(made, dirhash.Hash1)
	if err != nil {
		return err
	}
	was, err := dirhash.HashZip(fetched, dirhash.Hash1)
	if err == nil && was != is {
		return fmt.Errorf("%w: %s was fetched with the sum %s, and of the directory it is %s", ErrTaken, m, was, is)
	}
	return err
}

// A localFile is a file of a directory that becomes a module.
type localFile struct{ path, name string }

func (f localFile) Path() string                 { return f.path }
func (f localFile) Lstat() (fs.FileInfo, error)  { return os.Lstat(f.name) }
func (f localFile) Open() (io.ReadCloser, error) { return os.Open(f.name) }
