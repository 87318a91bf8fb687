//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package oci

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock on f without waiting. It reports errLocked if another has it,
// and errors.ErrUnsupported if the file system has no locks.
func tryLock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EWOULDBLOCK:
			return errLocked
		case err == syscall.ENOSYS, err == syscall.ENOTSUP, err == syscall.EINVAL, err == syscall.ENOLCK:
			return errors.ErrUnsupported
		}
		return err
	}
}

func unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
