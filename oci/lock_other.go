//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package oci

import (
	"errors"
	"os"
)

func tryLock(*os.File) error { return errors.ErrUnsupported }

func unlock(*os.File) {}
