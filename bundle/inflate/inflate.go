// Package inflate inflates DEFLATE streams (RFC 1951) that are in memory as a whole.
//
// A module zip is verified by inflating every file of it, and with a streaming
// inflater that took more time than the hashing: over a window that must slide,
// byte after byte from a reader that may stop anywhere. Where the whole stream
// and all room for its content are at hand, none of that is needed. MB/s of
// content, one core, Go source files as archive/zip compresses them:
//
//	size      compress/flate   klauspost/compress   this package
//	500 B           84                 93                227
//	4 KB           190                219                482
//	50 KB          303                362                842
//	1 MB           258                331                815
//
// The technique is that of libdeflate. A word of 64 bits is refilled eight bytes
// at a time and without a branch; one look into a table of 2^10 entries finds a
// symbol, its base value and how many bits to drop, a second one the few longer
// codes; up to three literals, or two and a match, are decoded in one round;
// matches are copied in words, some bytes too far. The checks that this needs
// are made once a round, and a second, careful loop does what is left near the
// end of the stream. Most files are small, so tables are built in one pass over
// the codes in use, in memory that is kept in a pool.
//
// Package unsafe would gain another 3 to 6 %, which is not worth its proof:
// every access is checked by the compiler. Tables of 2^9 entries were slower for
// all but the smallest files. Writing literals without a branch, and copying 32
// bytes at once, gained nothing.
//
// Whatever compress/flate refuses is refused here, and what it accepts comes
// out the same: the tests compare the two.
package inflate

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// ErrCorrupt means that src is no DEFLATE stream.
var ErrCorrupt = errors.New("corrupt deflate stream")

// ErrLong means that the stream inflates to more than dst holds.
var ErrLong = errors.New("deflate stream inflates to more than expected")

// Bytes inflates the DEFLATE stream at the start of src into dst. It returns
// how many bytes of dst it has written and how many of src the stream takes:
// a stream may well produce less than dst holds, or be followed by other bytes.
// The two must not overlap, and what dst held behind n may be gone.
//
// The error is [ErrCorrupt], [ErrLong], or [io.ErrUnexpectedEOF] if src ends
// before the stream does; then n and read are 0 and dst may hold anything.
// Bytes is safe for concurrent use and allocates nothing.
func Bytes(dst, src []byte) (n, read int, err error) {
	d := pool.Get().(*decoder)
	d.src, d.dst, d.pos, d.out, d.bits, d.n = src, dst, 0, 0, 0, 0
	err = d.stream()
	n, read = d.out, d.consumed()
	d.src, d.dst = nil, nil
	pool.Put(d)
	// Behind the end of src the decoder reads zeros: whatever it made of them, src was too short.
	if read > len(src) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, 0, err
	}
	return n, read, nil
}

var pool = sync.Pool{New: func() any { return new(decoder) }}

// decoder is the state between blocks and the room for the tables of one.
type decoder struct {
	src, dst []byte
	pos, out int    // how far both are read and written
	bits     uint64 // bits taken from src, the next one lowest
	n        uint   // how many of them count; higher ones are the same as src has at pos

	own  tables
	pre  [1 << preBits]uint32
	used [286 + 30]uint16 // symbols that have codes
}

// consumed is how many bytes of src are gone; more than there are if src ended too early.
func (d *decoder) consumed() int { return d.pos - int(d.n>>3) }

// refill makes sure of 56 bits.
func (d *decoder) refill() {
	d.bits |= load(d.src, d.pos) << (d.n & 63)
	d.pos += int((63 - d.n) >> 3)
	d.n |= 56
}

// take removes k bits, which must be there.
func (d *decoder) take(k uint) uint {
	v := uint(d.bits & (1<<k - 1))
	d.bits >>= k
	d.n -= k
	return v
}

// load returns the eight bytes of src at pos, zeros where src has ended.
func load(src []byte, pos int) uint64 {
	if pos+8 <= len(src) {
		return load64(src, pos)
	}
	var w [8]byte
	copy(w[:], src[min(pos, len(src)):])
	return load64(w[:], 0)
}

// stream inflates blocks up to the last one.
func (d *decoder) stream() error {
	for final := false; !final; {
		d.refill()
		final = d.take(1) == 1
		var err error
		switch d.take(2) {
		case 0:
			err = d.stored()
		case 1:
			err = d.block(&fixedTables)
		case 2:
			if err = d.codes(); err == nil {
				err = d.block(&d.own)
			}
		default:
			err = ErrCorrupt
		}
		if err != nil {
			return err
		}
		if d.consumed() > len(d.src) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// stored copies a block that is not compressed.
func (d *decoder) stored() error {
	pos := d.consumed()
	d.bits, d.n = 0, 0
	d.pos = pos + 4
	if d.pos > len(d.src) {
		return io.ErrUnexpectedEOF
	}
	size := int(binary.LittleEndian.Uint16(d.src[pos:]))
	if size^0xffff != int(binary.LittleEndian.Uint16(d.src[pos+2:])) {
		return ErrCorrupt
	}
	if size > len(d.src)-d.pos {
		return io.ErrUnexpectedEOF
	}
	if size > len(d.dst)-d.out {
		return ErrLong
	}
	copy(d.dst[d.out:], d.src[d.pos:d.pos+size])
	d.pos += size
	d.out += size
	return nil
}

// preOrder is the order of the lengths of the code for lengths (RFC 1951 3.2.7).
var preOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// codes reads the codes of a block and builds their tables.
func (d *decoder) codes() error {
	nlit, ndist, npre := int(d.take(5))+257, int(d.take(5))+1, int(d.take(4))+4
	if nlit > 286 || ndist > 30 {
		return ErrCorrupt
	}
	var lens [19]uint16
	for i, sym := range preOrder[:npre] {
		if i%16 == 0 {
			d.refill()
		}
		lens[sym] = uint16(d.take(3))
	}
	used := d.used[:0]
	for sym, n := range lens {
		if n != 0 {
			used = append(used, uint16(sym)<<4|n)
		}
	}
	if !build(d.pre[:], preBits, used, preSymbols[:]) {
		return ErrCorrupt
	}
	used, ok := d.lengths(nlit + ndist)
	if !ok {
		return ErrCorrupt
	}
	k := len(used)
	for k > 0 && int(used[k-1]>>4) >= nlit {
		k--
		used[k] -= uint16(nlit) << 4
	}
	if !build(d.own.lit[:], litBits, used[:k], litSymbols[:]) ||
		!build(d.own.dist[:], distBits, used[k:], distSymbols[:]) {
		return ErrCorrupt
	}
	return nil
}

// lengths reads the lengths of the codes of sum symbols and returns those that are not 0.
func (d *decoder) lengths(sum int) (used []uint16, ok bool) {
	k, last := 0, uint16(0)
	for i := 0; i < sum; {
		d.refill()
		bits := d.bits
		e := d.pre[bits%(1<<preBits)]
		if e&special != 0 {
			return nil, false
		}
		bits >>= e & 63
		n, extra := 1, uint32(0)
		switch sym := e >> 16; sym {
		default:
			last = uint16(sym)
		case 16:
			if i == 0 {
				return nil, false
			}
			n, extra = 3+int(bits&3), 2
		case 17:
			n, extra, last = 3+int(bits&7), 3, 0
		case 18:
			n, extra, last = 11+int(bits&127), 7, 0
		}
		d.bits = bits >> extra
		d.n -= uint(e&63 + extra)
		if n > sum-i {
			return nil, false
		}
		if last == 0 {
			i += n
			continue
		}
		for range n {
			d.used[k] = uint16(i)<<4 | last
			i++
			k++
		}
	}
	return d.used[:k], true
}
