package space

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func isFAT(dir string, st *unix.Statfs_t) bool {
	switch int64(st.Type) {
	case unix.MSDOS_SUPER_MAGIC:
		return true
	case unix.FUSE_SUPER_MAGIC:
		return fuseType(dir) == "fuse.fusefat"
	}
	return false
}

// fuseType returns which of the many file systems it is that FUSE has in dir.
func fuseType(dir string) string {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return ""
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	return mountType(f, fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev))))
}

// mountType finds the type of the file system on a device in /proc/self/mountinfo, see proc(5).
func mountType(mountinfo io.Reader, device string) string {
	for s := bufio.NewScanner(mountinfo); s.Scan(); {
		mount, source, _ := strings.Cut(s.Text(), " - ")
		if fields := strings.Fields(mount); len(fields) > 2 && fields[2] == device {
			kind, _, _ := strings.Cut(source, " ")
			return kind
		}
	}
	return ""
}
