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

// ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED.
var diskFull = []error{syscall.Errno(39), syscall.Errno(112), syscall.Errno(1295)}

// ERROR_CRC, ERROR_IO_DEVICE.
var badSector = []error{syscall.Errno(23), syscall.Errno(1117)}
