package inflate

import (
	"encoding/binary"
	"io"
)

// block inflates the symbols of a block up to its end.
func (d *decoder) block(t *tables) error {
	if done, err := d.fast(t); done || err != nil {
		return err
	}
	return d.slow(t)
}

// These load and store a word. Cut to eight bytes a slice costs less to check
// than one that goes on to the end.
func load64(b []byte, i int) uint64     { return binary.LittleEndian.Uint64(b[i : i+8]) }
func store64(b []byte, i int, v uint64) { binary.LittleEndian.PutUint64(b[i:i+8], v) }

// fast is slow without its checks: it stops where a round could read behind
// src (two words) or write behind dst (three literals). A match near the end of
// dst is copied byte by byte, any other in pairs of words, which may write 16
// bytes too many; what follows overwrites them.
func (d *decoder) fast(t *tables) (done bool, err error) {
	src, dst := d.src, d.dst
	pos, out, bits, n := d.pos, d.out, d.bits, d.n
	inEnd, outEnd, copyEnd := len(src)-16, len(dst)-3, len(dst)-16
	for pos <= inEnd && out <= outEnd {
		// 56 bits are enough for two literals of the primary table and a length (40 bits).
		// Of n only the low 6 bits count: it is cheaper to let the rest of an entry spoil the others.
		bits |= load64(src, pos) << (n & 63)
		pos += int((63 - n) >> 3 & 7)
		n |= 56

		e := t.lit[bits%(1<<litBits)]
		if int32(e) < 0 {
			bits >>= e & 63
			n -= uint(e)
			dst[out] = byte(e >> 16)
			out++
			e = t.lit[bits%(1<<litBits)]
			if int32(e) < 0 {
				bits >>= e & 63
				n -= uint(e)
				dst[out] = byte(e >> 16)
				out++
				e = t.lit[bits%(1<<litBits)]
			}
		}
		if e&special != 0 {
			if e&link != 0 {
				e = t.lit[e>>16+uint32(bits>>litBits)&(1<<(e>>8&15)-1)]
			}
			if e&special != 0 {
				if e&end != 0 {
					bits >>= e & 63
					n -= uint(e)
					done = true
				} else {
					err = ErrCorrupt
				}
				break
			}
		}
		if int32(e) < 0 {
			bits >>= e & 63
			n -= uint(e)
			dst[out] = byte(e >> 16)
			out++
			continue
		}
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&63))
		bits >>= e & 63
		n -= uint(e)

		if n&63 < 28 {
			bits |= load64(src, pos) << (n & 63)
			pos += int((63 - n) >> 3 & 7)
			n |= 56
		}
		e = t.dist[bits%(1<<distBits)]
		if e&special != 0 {
			if e&link != 0 {
				e = t.dist[e>>16+uint32(bits>>distBits)&(1<<(e>>8&15)-1)]
			}
			if e&special != 0 {
				err = ErrCorrupt
				break
			}
		}
		from := out - int(e>>16) - int(bits&(1<<(e&63)-1)>>(e>>8&63))
		bits >>= e & 63
		n -= uint(e)

		if from < 0 {
			err = ErrCorrupt
			break
		}
		to := out
		out += length
		if out > copyEnd {
			if out > len(dst) {
				err = ErrLong
				break
			}
			for ; to < out; to++ {
				dst[to] = dst[from]
				from++
			}
			continue
		}
		if to-from >= 8 {
			store64(dst, to, load64(dst, from))
			store64(dst, to+8, load64(dst, from+8))
			for to+16 < out {
				to += 16
				from += 16
				store64(dst, to, load64(dst, from))
				store64(dst, to+8, load64(dst, from+8))
			}
			continue
		}
		// Words that overlap: of each only as many bytes count as the distance is long.
		for step := to - from; to < out; to += step {
			store64(dst, to, load64(dst, to-step))
		}
	}
	d.pos, d.out, d.bits, d.n = pos, out, bits, n%64
	return done, err
}

// slow inflates one symbol after the other and looks closely.
func (d *decoder) slow(t *tables) error {
	for {
		if d.consumed() > len(d.src) {
			return io.ErrUnexpectedEOF
		}
		d.refill()
		e := t.lit[d.bits%(1<<litBits)]
		if e&link != 0 && e&special != 0 {
			e = t.lit[e>>16+uint32(d.bits>>litBits)&(1<<(e>>8&15)-1)]
		}
		if e&literal != 0 {
			d.take(uint(e & 63))
			if d.out >= len(d.dst) {
				return ErrLong
			}
			d.dst[d.out] = byte(e >> 16)
			d.out++
			continue
		}
		if e&special != 0 {
			if e&end == 0 {
				return ErrCorrupt
			}
			d.take(uint(e & 63))
			return nil
		}
		length := d.value(e)
		e = t.dist[d.bits%(1<<distBits)]
		if e&link != 0 && e&special != 0 {
			e = t.dist[e>>16+uint32(d.bits>>distBits)&(1<<(e>>8&15)-1)]
		}
		if e&special != 0 {
			return ErrCorrupt
		}
		distance := d.value(e)
		if distance > d.out {
			return ErrCorrupt
		}
		if length > len(d.dst)-d.out {
			return ErrLong
		}
		from, to := d.out-distance, d.out
		d.out += length
		if distance >= length {
			copy(d.dst[to:d.out], d.dst[from:])
			continue
		}
		for ; to < d.out; to++ {
			d.dst[to] = d.dst[from]
			from++
		}
	}
}

// value takes a length or distance that e begins.
func (d *decoder) value(e uint32) int {
	v := int(e>>16) + int(d.bits&(1<<(e&63)-1)>>(e>>8&15))
	d.take(uint(e & 63))
	return v
}
