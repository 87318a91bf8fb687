package bundle

import (
	"context"
	"crypto/rand"
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
	fileLock       = ".lock"
)

// A tree is a directory that bundles are unpacked into, locked against other processes.
type tree struct {
	dir   string // absolute
	root  *os.Root
	lock  *lockedfile.File
	made  bool // by this run
	chmod bool // the umask takes bits that others need
}

// openTree makes dir where needed, takes its lock and clears what killed runs left. It does not
// touch what it did not make: a name of its own that leads elsewhere is an error.
func openTree(ctx context.Context, dir string) (*tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for {
		t := &tree{dir: abs}
		if err := t.make(); err != nil {
			return nil, err
		}
		lost, err := t.open(ctx)
		if err == nil && !lost {
			return t, nil
		}
		t.release()
		if err != nil {
			return nil, err
		}
	}
}

// clear removes the generations that keep does not want. Each first loses its name: what is left when this is killed is
// known for what it is.
func (t *tree) clear(keep func(name string) bool) error {
	entries, err := fs.ReadDir(t.root.FS(), dirGenerations)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if keep(e.Name()) || !t.isOurs(e) {
			continue
		}
		name := path.Join(dirGenerations, e.Name())
		if !strings.HasPrefix(e.Name(), stagePrefix) {
			gone := path.Join(dirGenerations, stagePrefix+rand.Text()[:8])
			if err := t.root.Rename(name, gone); err != nil {
				return err
			}
			name = gone
		}
		if err := t.root.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// isOurs says whether an entry of the directory of generations is one, or what is left of one.
func (t *tree) isOurs(e fs.DirEntry) bool {
	if !e.IsDir() {
		return false
	}
	_, err := t.root.Lstat(path.Join(dirGenerations, e.Name(), genState))
	return err == nil || strings.HasPrefix(e.Name(), stagePrefix)
}

// close releases the lock. A directory that this run made and put nothing into is removed.
func (t *tree) close() {
	if t.made && t.target(linkCurrent) == "" {
		os.Remove(filepath.Join(t.dir, dirGenerations))
		os.Remove(filepath.Join(t.dir, fileLock))
		os.Remove(t.dir)
	}
	t.release()
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

func temporaryLink(link string) string { return "." + link + ".new" }

// point makes a link lead to a generation, in one step.
func (t *tree) point(link, name string) error {
	temporary := temporaryLink(link)
	if err := t.root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := t.root.Symlink(dirGenerations+"/"+name, temporary); err != nil {
		return err
	}
	return t.root.Rename(temporary, link)
}

// publish makes a staged generation the current one and returns its name. The one that previous names stays for Rollback;
// others are removed.
func (t *tree) publish(g *generation, name, previous string) (string, error) {
	if err := g.finish(); err != nil {
		return "", err
	}
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
	if previous != "" {
		if err := t.point(linkPrevious, previous); err != nil {
			return "", err
		}
	}
	if err := t.point(linkCurrent, name); err != nil {
		return "", err
	}
	if err := syncDir(t.dir); err != nil {
		return "", err
	}
	return name, t.clear(func(n string) bool { return n == name || n == previous })
}

// ErrNoEarlier says that there is no generation to go back to.
var ErrNoEarlier = errors.New("there is no earlier generation")

// earlier is the generation that Rollback makes current, or "".
func (t *tree) earlier() string {
	if previous := t.target(linkPrevious); previous != t.target(linkCurrent) { // a Rollback may have been killed
		return previous
	}
	return ""
}

// Rollback makes the generation current that was so before the last Unpack, and returns its name. It goes one step, as
// Unpack keeps one generation: a second time it is [ErrNoEarlier], and not the way forward again, which is to unpack. The
// generation that was current stays until then, for those at work in it. Every file of the earlier one is read: where one
// is not what was unpacked, nothing changes.
func Rollback(ctx context.Context, dir string) (string, error) {
	if _, err := unpackedAt(dir); err != nil {
		return "", err
	}
	t, err := openTree(ctx, dir)
	if err != nil {
		return "", err
	}
	defer t.close()
	previous := t.earlier()
	if previous == "" {
		return "", fmt.Errorf("roll back %s: %w than %s", t.dir, ErrNoEarlier, t.target(linkCurrent))
	}
	if err := t.prove(ctx, previous); err != nil {
		return "", fmt.Errorf("roll back to %s: %w", previous, err)
	}
	if err := t.point(linkCurrent, previous); err != nil {
		return "", err
	}
	if err := t.root.Remove(linkPrevious); err != nil {
		return "", err
	}
	return previous, syncDir(t.dir)
}

// prove proves every file of a generation, as nobody has looked at those of an earlier one since it was unpacked.
func (t *tree) prove(ctx context.Context, generation string) error {
	s, err := t.status(ctx, generation, true, reporter(nil))
	if err == nil {
		err = s.Err()
	}
	if err == nil || s == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, problemsError(s.Problems))
}

// unpackedAt returns the absolute name of the current generation of a directory that Unpack has
// made.
func unpackedAt(dir string) (current string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	current = filepath.Join(abs, linkCurrent)
	info, err := os.Lstat(filepath.Join(current, genState))
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", genState)
	}
	if err != nil {
		return "", notUnpacked(dir, err)
	}
	return current, nil
}

// notUnpacked is the error for a directory without a current generation, and why it cannot be read, if that is it.
func notUnpacked(dir string, cause error) error {
	switch _, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is %w: it is not there", dir, ErrNotUnpacked)
	case cause == nil, errors.Is(cause, fs.ErrNotExist):
		return fmt.Errorf("%s is %w", dir, ErrNotUnpacked)
	}
	return fmt.Errorf("%s is %w: %w", dir, ErrNotUnpacked, cause)
}
