package inflate

import "encoding/binary"

func ld(b []byte, i int) uint64    { return binary.LittleEndian.Uint64(b[i : i+8]) }
func st(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }
func put(b []byte, i int, v byte)  { b[i] = v }
