package space

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

var (
	full     = []error{windows.ERROR_HANDLE_DISK_FULL, windows.ERROR_DISK_FULL, windows.ERROR_DISK_QUOTA_EXCEEDED}
	tooLarge = []error{windows.ERROR_FILE_TOO_LARGE}
)

func freeAt(dir string) free {
	has := free{bytes: -1, files: -1}
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return has
	}
	var available uint64
	if windows.GetDiskFreeSpaceEx(name, &available, nil, nil) == nil {
		has.bytes = int64(available)
	}
	root, err := windows.UTF16PtrFromString(filepath.VolumeName(dir) + `\`)
	if err != nil {
		return has
	}
	var kind [windows.MAX_PATH + 1]uint16
	if windows.GetVolumeInformation(root, nil, 0, nil, nil, nil, &kind[0], uint32(len(kind))) == nil {
		has.fat = strings.HasPrefix(windows.UTF16ToString(kind[:]), "FAT")
	}
	return has
}
