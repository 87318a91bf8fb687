//go:build linux || darwin

package space

import (
	"os"

	"golang.org/x/sys/unix"
)

func freeAt(dir string) free {
	has := free{bytes: -1, files: -1}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return has
	}
	blocks := st.Bavail
	if os.Geteuid() == 0 {
		blocks = st.Bfree // also what is reserved for root
	}
	if st.Blocks > 0 {
		has.bytes = int64(blocks) * int64(st.Bsize)
	}
	if st.Files > 0 {
		has.files = int64(st.Ffree)
	}
	has.fat = isFAT(dir, &st)
	return has
}
