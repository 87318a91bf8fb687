package oci

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	stagingPrefix = ".goferry-"
	stagingLock   = "lock" // in it; the other files are numbers

	// staleAge is when a staging directory is given up on a file system without locks.
	staleAge = 24 * time.Hour
)

// staging is where a process writes files before they get their names: a directory inside the layout, so that
// a rename is enough, with a file in it that stays locked as long as the process lives. What a killed process
// left is known by its free lock and by having nothing else than such files. The next writer takes the parts of
// blobs over, and removes the rest.
type staging struct {
	root *os.Root
	name string
	lock *os.File
	next atomic.Int64
}

// stage makes l.staging if need be, under the layout's lock, and calls then before the lock is given back.
// The lock is on the file oci-layout: it is in every layout, and is never replaced.
func (l *layout) stage(ctx context.Context, then func(lockFile *os.File) error) error {
	f, err := l.lockLayout(ctx)
	if err != nil {
		return err
	}
	defer f.Close()
	defer unlock(f)
	l.mu.Lock()
	if l.staging == nil {
		if l.staging, err = newStaging(l.root); err == nil {
			l.sweep()
		}
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return then(f)
}

// lockLayout returns the locked file oci-layout.
func (l *layout) lockLayout(ctx context.Context) (*os.File, error) {
	for {
		f, err := l.root.OpenFile(layoutFile, l.lockFlags|os.O_RDWR|openFlags, 0o644)
		if errors.Is(err, fs.ErrPermission) {
			f, err = l.root.OpenFile(layoutFile, os.O_RDONLY|openFlags, 0) // another user's file; a lock needs no more
		}
		if err != nil {
			return nil, local(err)
		}
		if err := lock(ctx, f); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", layoutFile, err)
		}
		// Who made the layout may have removed it again while this process waited for the lock.
		locked, err := f.Stat()
		if at, atErr := l.root.Lstat(layoutFile); err == nil && atErr == nil && os.SameFile(locked, at) {
			return f, nil
		}
		f.Close()
	}
}

func newStaging(root *os.Root) (*staging, error) {
	st := &staging{root: root, name: stagingPrefix + rand.Text()}
	if err := root.Mkdir(st.name, 0o755); err != nil {
		return nil, local(err)
	}
	f, err := root.OpenFile(path.Join(st.name, stagingLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		root.Remove(st.name)
		return nil, local(err)
	}
	st.lock = f
	if err := tryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		st.close()
		return nil, err
	}
	return st, nil
}

// sweep removes the staging directories of processes that are gone. It is called under the layout's lock,
// so none is seen between its making and its locking.
func (l *layout) sweep() {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		random, ok := strings.CutPrefix(e.Name(), stagingPrefix)
		if !ok || !isRandom(random) || !e.IsDir() {
			continue
		}
		if abandoned(l.root, e.Name()) {
			l.adoptParts(e.Name())
			removeStaging(l.root, e.Name(), false)
		} else {
			l.root.Remove(e.Name()) // only if it is empty: its process was killed before it made the lock
		}
	}
}

// isRandom reports whether s is like what [rand.Text] returns.
func isRandom(s string) bool {
	return len(s) >= 26 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// abandoned reports whether no process has the lock in the staging directory. One without a lock is not ours.
func abandoned(root *os.Root, name string) bool {
	lockFile := path.Join(name, stagingLock)
	if info, err := root.Lstat(lockFile); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := root.OpenFile(lockFile, os.O_RDWR|openFlags, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	err = tryLock(f)
	if errors.Is(err, errors.ErrUnsupported) {
		info, err := f.Stat()
		return err == nil && time.Since(info.ModTime()) > staleAge
	}
	return err == nil
}

// removeStaging removes a directory that has nothing but files of a staging. If it is to keep parts of blobs and
// there are any, they stay, with the lock beside them.
func removeStaging(root *os.Root, name string, keepParts bool) {
	entries, err := fs.ReadDir(root.FS(), name)
	if err != nil {
		return
	}
	parts := false
	for _, e := range entries {
		_, isPart := partOf(e.Name())
		if _, isCut := cutOf(e.Name()); isCut {
			isPart = true
		}
		if !isPart && !isNumber(e.Name()) && e.Name() != stagingLock || !e.Type().IsRegular() {
			return
		}
		parts = parts || isPart
	}
	for _, e := range entries {
		if !keepParts || !parts || isNumber(e.Name()) {
			root.Remove(path.Join(name, e.Name()))
		}
	}
	root.Remove(name) // only if it is empty
}

func isNumber(name string) bool {
	_, err := strconv.ParseUint(name, 10, 64)
	return err == nil
}

// create makes a new temporary file. It has the mode that the umask gives: there is no chmod, which FAT refuses.
func (st *staging) create() (*os.File, string, error) { return st.createNamed(st.newName()) }

func (st *staging) newName() string { return path.Join(st.name, fmt.Sprint(st.next.Add(1))) }

func (st *staging) createNamed(name string) (f *os.File, _ string, err error) {
	f, err = st.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	return f, name, local(err)
}

// replace puts data in the place of the file name at once: a reader sees the old or the new, also after a crash.
func (st *staging) replace(name string, data []byte) error {
	f, temp, err := st.create()
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = st.root.Rename(temp, name)
	}
	if err != nil {
		st.root.Remove(temp)
		return local(err)
	}
	return syncDir(st.root, path.Dir(name))
}

// syncDir makes renames in a directory durable. Not every system and file system can, and then nothing can be done.
func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return local(err)
	}
	defer d.Close()
	d.Sync()
	return nil
}

func (st *staging) close() {
	st.lock.Close() // Windows removes no open file
	removeStaging(st.root, st.name, true)
}
