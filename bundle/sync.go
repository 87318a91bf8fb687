package bundle

import (
	"os"
	"runtime"
)

// syncDir makes renames in a directory durable. Windows has no such thing.
func syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
