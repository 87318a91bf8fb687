//go:build !unix

package oci

import (
	"os"
	"syscall"
)

const (
	openFlags = 0
	syncFlags = os.O_RDWR // Windows flushes only what could be written
)

// ERROR_CRC, ERROR_IO_DEVICE.
var badSector = []error{syscall.Errno(23), syscall.Errno(1117)}
