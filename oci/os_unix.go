//go:build unix

package oci

import "syscall"

// A FIFO in place of a file must not make open wait for a writer.
const openFlags = syscall.O_NONBLOCK

// Other tools leave blobs that are read-only, and fsync does not mind.
const syncFlags = syscall.O_RDONLY | syscall.O_NONBLOCK

var badSector = []error{syscall.EIO}

// Disks say the first three; file systems in a process, or on another machine, the others.
var mediumGone = []error{syscall.EIO, syscall.ENXIO, syscall.ENODEV, syscall.ENOTCONN, syscall.ECONNABORTED, syscall.ESTALE}
