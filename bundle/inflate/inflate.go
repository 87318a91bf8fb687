// Package inflate inflates DEFLATE streams (RFC 1951) that are in memory as a whole.
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
//
// The error is [ErrCorrupt], [ErrLong], or [io.ErrUnexpectedEOF] if src ends
// before the stream does; then n and read are 0 and dst may hold anything.
// Bytes is safe for concurrent use and allocates nothing.
func Bytes(dst, src []byte) (n, read int, err error) {
	d := pool.Get().(*decoder)
	d.src, d.dst, d.pos, d.out, d.bits, d.n = src, dst, 0, 0, 0, 0
	err = d.stream()
	n, read = d.out, d.used()
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
	lens [286 + 30]uint8
}

// used is how many bytes of src are gone; more than there are if src ended too early.
func (d *decoder) used() int { return d.pos - int(d.n>>3) }

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
		return binary.LittleEndian.Uint64(src[pos:])
	}
	var w [8]byte
	copy(w[:], src[min(pos, len(src)):])
	return binary.LittleEndian.Uint64(w[:])
}

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
		if d.used() > len(d.src) {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}

// stored copies a block that is not compressed.
func (d *decoder) stored() error {
	pos := d.used()
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
	var pre [19]uint8
	for i, sym := range preOrder[:npre] {
		if i%16 == 0 {
			d.refill()
		}
		pre[sym] = uint8(d.take(3))
	}
	if !build(d.pre[:], preBits, pre[:], preSymbols[:]) {
		return ErrCorrupt
	}
	lens := d.lens[:nlit+ndist]
	for i := 0; i < len(lens); {
		if d.n < 14 {
			d.refill()
		}
		e := d.pre[d.bits%(1<<preBits)]
		if e&special != 0 {
			return ErrCorrupt
		}
		d.take(uint(e & 63))
		sym := uint8(e >> 16)
		if sym < 16 {
			lens[i] = sym
			i++
			continue
		}
		var n int
		var repeat uint8
		switch sym {
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			n, repeat = 3+int(d.take(2)), lens[i-1]
		case 17:
			n = 3 + int(d.take(3))
		default:
			n = 11 + int(d.take(7))
		}
		if n > len(lens)-i {
			return ErrCorrupt
		}
		for range n {
			lens[i] = repeat
			i++
		}
	}
	if !build(d.own.lit[:], litBits, lens[:nlit], litSymbols[:]) ||
		!build(d.own.dist[:], distBits, lens[nlit:], distSymbols[:]) {
		return ErrCorrupt
	}
	return nil
}

