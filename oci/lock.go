package oci

import (
	"context"
	"errors"
	"os"
	"time"
)

var errLocked = errors.New("locked by another process")

// lock waits for the lock on f. It asks again and again instead of blocking in the kernel, so that ctx can end it.
// On a file system without locks it succeeds: a stick has one writer.
func lock(ctx context.Context, f *os.File) error {
	pause := time.Millisecond
	for {
		err := tryLock(f)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		if err != errLocked {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 20*time.Millisecond)
	}
}
