//go:build unix

package space

import "syscall"

var (
	full     = []error{syscall.ENOSPC, syscall.EDQUOT}
	tooLarge = []error{syscall.EFBIG}
)
