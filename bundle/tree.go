package bundle

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Names below an unpacked directory.
const (
	dirGenerations = "generations"
	linkCurrent    = "current"
	linkPrevious   = "previous"
	stagePrefix    = ".staging-"
)

// A tree is a directory that bundles are unpacked into, locked against other processes.
type tree struct {
	dir    string // absolute
	root   *os.Root
	unlock func()
	made   bool // by this run
	chmod  bool // the umask takes bits that others need
}

// openTree makes dir where needed, takes its lock and clears what killed runs left.
func openTree(dir string) (*tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{dir: abs}
	if _, err := os.Lstat(abs); errors.Is(err, fs.ErrNotExist) {
		t.made = true
	}
	if err := os.MkdirAll(filepath.Join(abs, dirGenerations), 0o755); err != nil {
		return nil, err
	}
	if t.unlock, err = lockedfile.MutexAt(filepath.Join(abs, ".lock")).Lock(); err != nil {
		return nil, err
	}
	if t.root, err = os.OpenRoot(abs); err != nil {
		t.unlock()
		return nil, err
	}
	return t, t.clear(func(name string) bool { return !strings.HasPrefix(name, stagePrefix) })
}

// clear removes the generations that keep does not want.
func (t *tree) clear(keep func(name string) bool) error {
	entries, err := fs.ReadDir(t.root.FS(), dirGenerations)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if keep(e.Name()) {
			continue
		}
		if err := t.root.RemoveAll(path.Join(dirGenerations, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// close releases the lock. A directory that this run made and put nothing into is removed.
func (t *tree) close() {
	empty := t.made && t.target(linkCurrent) == ""
	t.root.Close()
	if empty {
		os.Remove(filepath.Join(t.dir, dirGenerations))
		os.Remove(filepath.Join(t.dir, ".lock"))
		os.Remove(t.dir)
	}
	t.unlock()
}

// target returns the name of the generation that a link leads to, or "".
func (t *tree) target(link string) string {
	to, err := t.root.Readlink(link)
	if err != nil {
		return ""
	}
	if path.Dir(filepath.ToSlash(to)) != dirGenerations {
		return ""
	}
	return path.Base(filepath.ToSlash(to))
}

// point makes a link lead to a generation, in one step.
func (t *tree) point(link, name string) error {
	temporary := "." + link + ".new"
	if err := t.root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.root.Symlink(dirGenerations+"/"+name, temporary); err != nil {
		return err
	}
	return t.root.Rename(temporary, link)
}

// publish makes a staged generation the current one and returns its name. The one that was
// current stays for Rollback; older ones are removed.
func (t *tree) publish(g *generation, name string) (string, error) {
	if err := g.finish(); err != nil {
		return "", err
	}
	current := t.target(linkCurrent)
	base := name
	for n := 2; ; n++ {
		if _, err := t.root.Lstat(path.Join(dirGenerations, name)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
	if err := t.root.Rename(g.dir, path.Join(dirGenerations, name)); err != nil {
		return "", err
	}
	if err := syncDir(filepath.Join(t.dir, dirGenerations)); err != nil {
		return "", err
	}
	if current != "" {
		if err := t.point(linkPrevious, current); err != nil {
			return "", err
		}
	}
	if err := t.point(linkCurrent, name); err != nil {
		return "", err
	}
	if err := syncDir(t.dir); err != nil {
		return "", err
	}
	return name, t.clear(func(n string) bool { return n == name || n == current })
}

// Rollback makes the generation current that was so before the last Unpack, or the last
// Rollback, and returns its name.
func Rollback(dir string) (string, error) {
	t, err := reopenTree(dir)
	if err != nil {
		return "", err
	}
	defer t.close()
	current, previous := t.target(linkCurrent), t.target(linkPrevious)
	if previous == "" {
		return "", fmt.Errorf("roll back %s: there is no earlier generation", t.dir)
	}
	if _, err := t.root.Stat(path.Join(dirGenerations, previous, genState)); err != nil {
		return "", fmt.Errorf("roll back %s: %w", t.dir, err)
	}
	if err := t.point(linkCurrent, previous); err != nil {
		return "", err
	}
	if err := t.point(linkPrevious, current); err != nil {
		return "", err
	}
	return previous, syncDir(t.dir)
}

// reopenTree opens a directory that Unpack has made.
func reopenTree(dir string) (*tree, error) {
	if _, err := os.Stat(filepath.Join(dir, linkCurrent, genState)); err != nil {
		return nil, fmt.Errorf("%s is not a directory that a bundle was unpacked into: %w", dir, err)
	}
	return openTree(dir)
}
