package rehearse

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// enterImage makes the image's directory the root, in a mount namespace of its own.
func (t *task) enterImage() error {
	// Only a mount can become the root.
	if err := bind(t.Image, t.Image); err != nil {
		return err
	}
	if err := bind(t.Project, filepath.Join(t.Image, imageProject)); err != nil {
		return err
	}
	for _, name := range devices {
		if err := bind("/"+name, filepath.Join(t.Image, name)); err != nil {
			return err
		}
	}
	if err := mountProc(filepath.Join(t.Image, "proc")); err != nil {
		return fmt.Errorf("mount /proc in the image: %w", err)
	}
	if err := os.Chdir(t.Image); err != nil {
		return err
	}
	// The old root comes to lie on the new one, and is taken away.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("make %s the root: %w", t.Image, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Chdir(t.Dir)
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s in the image: %w", from, err)
	}
	return nil
}
