package gomod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// linkFarm adds to the GOMODCACHE to links to the files below the download
// directory from, and to the extracted trees below trees; "" has none. What
// cannot be linked, or not be read, is left out: the go command then fetches
// it. What is linked already stays.
func linkFarm(ctx context.Context, from, trees, to string) error {
	if err := os.MkdirAll(filepath.Join(to, "cache", "download"), 0o755); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if from == "" {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	f := farm{from: from, trees: trees, to: to, group: group}
	f.link(ctx, "")
	if err := group.Wait(); err != nil && !errors.Is(err, errNoLinks) {
		return fmt.Errorf("capture: link %s: %w", from, err)
	}
	return nil
}

// errNoLinks ends a farm where the system gives no links, as Windows does
// without developer mode.
var errNoLinks = errors.New("no symbolic links")

type farm struct {
	from, trees string // the latter "" if there are none
	to          string
	group       *errgroup.Group
}

// link follows the directories of the download directory down to those named @v.
// The escaped module path is at once the name of the extracted tree.
func (f farm) link(ctx context.Context, path string) {
	entries, err := os.ReadDir(filepath.Join(f.from, path))
	if err != nil {
		return
	}
	for _, e := range entries {
		switch {
		case ctx.Err() != nil:
			return
		case !e.IsDir() || path == "" && e.Name() == "sumdb":
		case e.Name() == "@v":
			f.group.Go(func() error { return f.linkVersions(path) })
		default:
			f.link(ctx, filepath.Join(path, e.Name()))
		}
	}
}

// linkVersions links what there is of the module path. A .ziphash is linked
// only along with its zip, and a tree only along with both: the go command
// takes that as complete, and would else write to them in place.
func (f farm) linkVersions(path string) error {
	from, to := filepath.Join(f.from, path, "@v"), filepath.Join(f.to, "cache", "download", path, "@v")
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil
	}
	has := func(name string) bool {
		_, found := slices.BinarySearchFunc(entries, name, func(e fs.DirEntry, name string) int {
			return strings.Compare(e.Name(), name)
		})
		return found
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		version := strings.TrimSuffix(e.Name(), ext)
		switch {
		case ext == ".info" || ext == ".mod" || ext == ".zip":
		case ext == ".ziphash" && has(version+".zip"):
			if f.trees != "" && !has(version+".partial") {
				if err := f.linkTree(path + "@" + version); err != nil {
					return err
				}
			}
		default:
			continue
		}
		if err := symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// linkTree links an extracted tree. That of a toolchain which was never used
// is left out: on first use the go command changes modes in it.
func (f farm) linkTree(tree string) error {
	from, to := filepath.Join(f.trees, tree), filepath.Join(f.to, tree)
	if strings.HasPrefix(filepath.ToSlash(tree), "golang.org/toolchain@") && !toolchainInUse(from) {
		return nil
	}
	if info, err := os.Stat(from); err != nil || !info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return symlink(from, to)
}

func toolchainInUse(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "bin", "go"))
	_, modErr := os.Stat(filepath.Join(dir, "src", "go.mod"))
	return err == nil && info.Mode()&0o111 != 0 && modErr == nil
}

func symlink(from, to string) error {
	err := os.Symlink(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return fmt.Errorf("%w: %w", errNoLinks, err)
}

// removeAll removes the scratch directory, in which a go command that did not
// take -modcacherw may have left directories read-only.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
