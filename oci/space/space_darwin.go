package space

import "golang.org/x/sys/unix"

func isFAT(_ string, st *unix.Statfs_t) bool {
	return unix.ByteSliceToString(st.Fstypename[:]) == "msdos"
}
