package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// make makes the directory, for all to read.
func (t *tree) make() error {
	if _, err := os.Lstat(t.dir); errors.Is(err, fs.ErrNotExist) {
		t.made = true
	}
	generations := filepath.Join(t.dir, dirGenerations)
	_, err := os.Lstat(generations)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		if err := t.checkEmpty(); err != nil {
			return err
		}
		if err := t.tryLinks(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(generations, 0o755); err != nil {
		return err
	}
	if fresh { // whatever the umask
		if err := os.Chmod(generations, 0o755); err != nil {
			return err
		}
	}
	if t.made {
		return os.Chmod(t.dir, 0o755)
	}
	return nil
}

// checkEmpty refuses a directory that somebody uses for something else. What begins with a dot does not count, nor
// what a file system puts where it is mounted, nor what has the names that another process gives just now.
func (t *tree) checkEmpty() error {
	entries, err := os.ReadDir(t.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains([]string{"lost+found", dirGenerations, linkCurrent}, e.Name()) {
			return fmt.Errorf("%w: %s has %q", ErrNotEmpty, t.dir, e.Name())
		}
	}
	return nil
}

// tryLinks refuses a file system without symbolic links before anything is written to it. Whatever else is wrong
// shows when the directory is used.
func (t *tree) tryLinks() error {
	if err := os.MkdirAll(t.dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(t.dir, temporaryLink(linkCurrent)) // point removes what a killed run leaves
	err := os.Symlink(dirGenerations, name)
	if err == nil {
		return os.Remove(name)
	}
	if !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EPERM) {
		return nil
	}
	if t.made {
		os.Remove(t.dir) // only if it is empty
	}
	return fmt.Errorf("%s: the file system has no symbolic links, like FAT and exFAT on sticks: a stick can carry the bundle, unpack it to a disk of this machine", t.dir)
}

// open takes the lock. Lost says that another process removed the directory meanwhile, with
// the lock in it.
func (t *tree) open(ctx context.Context) (lost bool, err error) {
	name := filepath.Join(t.dir, fileLock)
	if err := mustBe(name, 0); err != nil {
		return false, err
	}
	if t.lock, err = lockFile(ctx, name); err != nil {
		return false, err
	}
	held, err := t.lock.Stat()
	if err != nil {
		return false, err
	}
	if there, err := os.Lstat(name); err != nil || !os.SameFile(held, there) {
		return true, nil
	}
	if t.root, err = os.OpenRoot(t.dir); err != nil {
		return false, err
	}
	for name, mode := range map[string]fs.FileMode{dirGenerations: fs.ModeDir, linkCurrent: fs.ModeSymlink, linkPrevious: fs.ModeSymlink} {
		if err := mustBe(filepath.Join(t.dir, name), mode); err != nil {
			return false, err
		}
	}
	return false, t.clear(func(name string) bool { return !strings.HasPrefix(name, stagePrefix) })
}

// mustBe refuses a file that is there and is of another type: 0 is a regular file.
func mustBe(name string, mode fs.FileMode) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != mode {
		err = fmt.Errorf("%s is in the way: it was not made by goferry", name)
	}
	return err
}

// lockFile waits for the lock, or for the end of ctx.
func lockFile(ctx context.Context, name string) (*lockedfile.File, error) {
	type result struct {
		f   *lockedfile.File
		err error
	}
	done := make(chan result, 1)
	go func() {
		f, err := lockedfile.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		done <- result{f, err}
	}()
	select {
	case r := <-done:
		return r.f, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.f.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// release lets the lock go.
func (t *tree) release() {
	if t.root != nil {
		t.root.Close()
	}
	if t.lock != nil {
		t.lock.Close()
	}
}
