package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const layoutVersion = `{"imageLayoutVersion":"1.0.0"}` + "\n"

// createLayout opens the layout in dir, or makes one if dir is empty or not there.
func createLayout(ctx context.Context, dir string) (*layout, error) {
	made := missingDirs(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, local(err)
	}
	l, err := newLayout(dir)
	if err != nil {
		return nil, local(err)
	}
	l.madeDirs = made
	l.lockFlags = os.O_CREATE
	if err := l.create(ctx); err != nil {
		l.Close()
		return nil, fmt.Errorf("create %s: %w", dir, local(err))
	}
	return l, nil
}

// missingDirs are dir and those above it that are not there, the deepest first.
func missingDirs(dir string) (missing []string) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return missing
		}
		missing = append(missing, dir)
	}
}

func (l *layout) create(ctx context.Context) error {
	if _, err := l.root.Lstat(layoutFile); err != nil {
		if err := l.checkEmpty(); err != nil {
			return err
		}
	}
	err := l.stage(ctx, l.fill)
	l.lockFlags = 0
	return err
}

// checkEmpty keeps a layout from being spread over somebody's project.
func (l *layout) checkEmpty() error {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != layoutFile && !strings.HasPrefix(e.Name(), stagingPrefix) {
			return mark(ErrNotLayout, fmt.Errorf("the directory has other files (%q) and is not an OCI layout", e.Name()))
		}
	}
	return nil
}

// fill makes the layout if there is none, under its lock. The file oci-layout comes first because it is the lock,
// and gets its content last because that makes the layout one.
func (l *layout) fill(lockFile *os.File) error {
	info, err := lockFile.Stat()
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		return l.check()
	}
	l.made = true
	if err := l.makeDirs(); err != nil {
		return err
	}
	if _, err := l.root.Lstat(indexFile); errors.Is(err, fs.ErrNotExist) {
		data, err := newIndex().bytes()
		if err != nil {
			return err
		}
		if err := l.staging.replace(indexFile, data); err != nil {
			return err
		}
	}
	if _, err := lockFile.WriteString(layoutVersion); err != nil {
		return err
	}
	return lockFile.Sync()
}

// Close removes the temporary files, and the layout itself if this store made it and nothing is tagged in it,
// unless a copy into it was interrupted and what has arrived is to be kept.
func (l *layout) Close() error {
	l.mu.Lock()
	st, blobs := l.staging, l.blobs
	l.staging, l.blobs = nil, nil
	l.mu.Unlock()
	if blobs != nil {
		blobs.Close()
	}
	if st != nil {
		st.close()
	}
	if l.made {
		l.unmake()
	}
	l.made = false
	err := l.root.Close()
	for _, dir := range l.madeDirs {
		if os.Remove(dir) != nil { // it is not empty
			break
		}
	}
	l.madeDirs = nil
	return err
}

// unmake removes an empty layout, unless another process is at work in it.
func (l *layout) unmake() {
	f, err := l.root.OpenFile(layoutFile, os.O_RDWR|openFlags, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if err := tryLock(f); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return
	}
	defer unlock(f)
	ix, err := l.readIndex()
	if err != nil || len(ix.Manifests) > 0 {
		return
	}
	if others, err := filepath.Glob(filepath.Join(l.dir, stagingPrefix+"*")); err != nil || len(others) > 0 {
		return
	}
	if blobs, err := fs.ReadDir(l.root.FS(), blobDir); l.keep && (err != nil || len(blobs) > 0) {
		return
	}
	l.root.RemoveAll("blobs")
	l.root.Remove(indexFile)
	l.root.Remove(layoutFile)
}
