package inflate

import "io"

// block inflates the symbols of a block up to its end.
func (d *decoder) block(t *tables) error {
	if done, err := d.fast(t); done || err != nil {
		return err
	}
	return d.slow(t)
}

// One round of fast reads at most 16 bytes behind pos, and writes at most two
// literals and a match rounded up to whole words.
const (
	inSlack  = 16
	outSlack = 16
)

// fast is slow without its checks, as far as src and dst are large enough.
func (d *decoder) fast(t *tables) (done bool, err error) {
	src, dst := d.src, d.dst
	pos, out, bits, n := d.pos, d.out, d.bits, d.n
	inEnd, outEnd := len(src)-inSlack, len(dst)-outSlack
	for pos <= inEnd && out <= outEnd+outSlack-3 {
		// 56 bits are enough for two literals of the primary table and a length (40 bits).
		bits |= ld(src, pos) << (n & 63)
		pos += int((63 - n) >> 3 & 7)
		n |= 56

		e := t.lit[bits%(1<<litBits)]
		if int32(e) < 0 {
			bits >>= e & 63
			n -= uint(e)
			put(dst, out, byte(e>>16))
			out++
			e = t.lit[bits%(1<<litBits)]
			if int32(e) < 0 {
				bits >>= e & 63
				n -= uint(e)
				put(dst, out, byte(e>>16))
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
			put(dst, out, byte(e>>16))
			out++
			continue
		}
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&63))
		bits >>= e & 63
		n -= uint(e)

		if n&63 < 28 {
			bits |= ld(src, pos) << (n & 63)
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
		if out > outEnd {
			if out > len(dst) {
				err = ErrLong
				break
			}
			for ; to < out; to++ {
				put(dst, to, dst[from])
				from++
			}
			continue
		}
		if to-from >= 8 {
			st(dst, to, ld(dst, from))
			st(dst, to+8, ld(dst, from+8))
			for to+16 < out {
				to += 16
				from += 16
				st(dst, to, ld(dst, from))
				st(dst, to+8, ld(dst, from+8))
			}
			continue
		}
		// Words that overlap: of each only as many bytes count as the distance is long.
		for step := to - from; to < out; to += step {
			st(dst, to, ld(dst, to-step))
		}
	}
	d.pos, d.out, d.bits, d.n = pos, out, bits, n%64
	return done, err
}

// slow inflates one symbol after the other and looks closely.
func (d *decoder) slow(t *tables) error {
	for {
		if d.used() > len(d.src) {
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
