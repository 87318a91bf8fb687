//go:build !linux

package bundle

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncTree makes all that was written below dir durable, file by file.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
