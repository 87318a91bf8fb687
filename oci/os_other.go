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

// ERROR_NOT_READY, ERROR_NO_SUCH_DEVICE, ERROR_IO_DEVICE, ERROR_DEVICE_NOT_CONNECTED, ERROR_DEVICE_REMOVED.
var mediumGone = []error{syscall.Errno(21), syscall.Errno(433), syscall.Errno(1117), syscall.Errno(1167), syscall.Errno(1617)}
