//go:build unix

package oci

import "syscall"

// A FIFO in place of a file must not make open wait for a writer.
const openFlags = syscall.O_NONBLOCK

// Other tools leave blobs that are read-only, and fsync does not mind.
const syncFlags = syscall.O_RDONLY | syscall.O_NONBLOCK

var badSector = []error{syscall.EIO}

// A disk that is not there any more says EIO too, so this is asked of a whole directory.
var mediumGone = []error{syscall.EIO, syscall.ENXIO, syscall.ENODEV, syscall.ENOTCONN, syscall.ESTALE}
