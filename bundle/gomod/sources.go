package gomod

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

// sources hashes whatever a capture is made from: see the package comment.
type sources struct {
	hash  hash.Hash
	start time.Time
	files int
	links []string // directories that a link has led to
	racy  bool     // a file is so new that it may yet change without showing it
}

func newSources() *sources { return &sources{hash: sha256.New(), start: time.Now()} }

func (s *sources) sum() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// add hashes fields, each with its length, which keeps it apart from the next.
func (s *sources) add(fields ...string) {
	for _, f := range fields {
		fmt.Fprintf(s.hash, "%d:%s\n", len(f), f)
	}
}

// addFile hashes a file that need not exist.
func (s *sources) addFile(name string) error {
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.add("no file", name)
	case err != nil:
		return err
	default:
		s.add("file", name, string(data))
	}
	return nil
}

// addProjects hashes the files of the main modules and the workspaces, and of
// the directories which they replace modules by.
func (s *sources) addProjects(mains []mainModule, spaces []workspace) error {
	var roots []string
	for _, m := range mains {
		f, err := modfile.Parse(m.name+"/go.mod", m.file, nil)
		if err != nil {
			return err
		}
		s.add("main", m.dir, string(m.file))
		roots = append(roots, m.dir)
		roots = append(roots, replacedBy(m.dir, f.Replace)...)
	}
	for _, w := range spaces {
		s.add("workspace", w.file, string(modfile.Format(w.work.Syntax)))
		if err := errors.Join(s.addFile(w.file), s.addFile(w.file+".sum")); err != nil {
			return err
		}
		roots = append(roots, replacedBy(filepath.Dir(w.file), w.work.Replace)...)
	}
	slices.Sort(roots)
	for _, root := range slices.Compact(roots) {
		s.add("root", root)
		if err := errors.Join(s.addFile(filepath.Join(root, "go.mod")), s.addFile(filepath.Join(root, "go.sum"))); err != nil {
			return err
		}
		if err := s.addTree(root, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func replacedBy(dir string, replace []*modfile.Replace) []string {
	var dirs []string
	for _, r := range replace {
		if r.New.Version == "" {
			dirs = append(dirs, absolute(dir, r.New.Path))
		}
	}
	return dirs
}

// maxSources bounds the look at a project: no answer is worth more than what
// it saves.
const maxSources = 200_000

// addTree hashes name, size and time of each .go file of a module. What "./..."
// leaves out, such as testdata, can still be imported by name, so it counts.
func (s *sources) addTree(dir string, root bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	nested := func(e fs.DirEntry) bool { return e.Name() == "go.mod" && !e.IsDir() }
	if !root && slices.ContainsFunc(entries, nested) {
		return nil
	}
	if s.files += len(entries); s.files > maxSources {
		return fmt.Errorf("%s: too many files", dir)
	}
	for _, e := range entries {
		if err := s.addEntry(filepath.Join(dir, e.Name()), e); err != nil {
			return err
		}
	}
	return nil
}

func (s *sources) addEntry(name string, e fs.DirEntry) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		return s.addLink(name)
	case e.IsDir():
		if slices.Contains([]string{"vendor", ".git", ".hg", ".svn", ".bzr"}, e.Name()) {
			return nil
		}
		return s.addTree(name, false)
	case strings.HasSuffix(name, ".go"):
		info, err := e.Info()
		if err != nil {
			return err
		}
		s.addInfo(name, info)
	}
	return nil
}

// addLink follows a link as the go command does: "./..." passes over a linked
// directory, an import does not.
func (s *sources) addLink(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return nil // leads nowhere
	}
	if !info.IsDir() {
		if strings.HasSuffix(name, ".go") {
			s.addInfo(name, info)
		}
		return nil
	}
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	s.add("link", name, target)
	if slices.Contains(s.links, target) {
		return nil
	}
	s.links = append(s.links, target)
	return s.addTree(target, false)
}

func (s *sources) addInfo(name string, info fs.FileInfo) {
	t := info.ModTime()
	s.add("source", name, fmt.Sprint(info.Size(), t.UnixNano(), info.Mode().Type()))
	// Some file systems count time in seconds, none in more than two.
	tick := 2 * time.Second
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		tick = 20 * time.Millisecond
	}
	if t.Add(tick).After(s.start) {
		s.racy = true
	}
}
