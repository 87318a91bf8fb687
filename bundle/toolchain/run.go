package toolchain

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/bits"
)

const (
	maxRun    = 256 << 10 // bytes of the tar in one member
	minMatch  = 4
	maxMatch  = 258
	maxDist   = 32 << 10
	tableBits = 13
)

// A run collects the small pieces of the tar, and writes them as members.
//
// The compressor is our own and as simple as one can be, because its bytes are for ever: one
// block with the fixed Huffman codes of RFC 1951, 3.2.6, and the last place where the same
// four bytes were seen is the only one that is tried. Changing anything here changes the
// digest of every toolchain layer.
type run struct {
	w     io.Writer
	buf   []byte
	out   bitWriter
	table [1 << tableBits]int32 // 1 + place in buf, by hash
}

func (r *run) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := min(len(p), maxRun-len(r.buf))
		r.buf, p = append(r.buf, p[:k]...), p[k:]
		if len(r.buf) == maxRun {
			if err := r.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// flush ends the member, so that another one can be written to r.w.
func (r *run) flush() error {
	if len(r.buf) == 0 {
		return nil
	}
	r.deflate()
	b := append(header(int64(len(r.out.b))), r.out.b...)
	b = append(b, trailer(crc32.ChecksumIEEE(r.buf), int64(len(r.buf)))...)
	r.buf = r.buf[:0]
	_, err := r.w.Write(b)
	return err
}

// deflate sets r.out to the deflate stream of r.buf.
func (r *run) deflate() {
	clear(r.table[:])
	r.out = bitWriter{b: r.out.b[:0]}
	r.out.add(1|1<<1, 3) // the last block, fixed codes
	i := 0
	for i+minMatch <= len(r.buf) {
		v := binary.LittleEndian.Uint32(r.buf[i:])
		place := &r.table[v*0x9e3779b1>>(32-tableBits)]
		last := int(*place) - 1
		*place = int32(i + 1)
		if last < 0 || i-last > maxDist || binary.LittleEndian.Uint32(r.buf[last:]) != v {
			r.out.symbol(int(r.buf[i]))
			i++
			continue
		}
		n := minMatch
		for n < maxMatch && i+n < len(r.buf) && r.buf[last+n] == r.buf[i+n] {
			n++
		}
		r.out.match(n, i-last)
		i += n
	}
	for _, c := range r.buf[i:] {
		r.out.symbol(int(c))
	}
	r.out.symbol(256)
	r.out.add(0, -r.out.n&7)
}

// A bitWriter writes a deflate stream's codes, the first bit lowest.
type bitWriter struct {
	b    []byte
	bits uint64
	n    int // bits in bits
}

func (w *bitWriter) add(v uint32, n int) {
	w.bits |= uint64(v) << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.b = append(w.b, byte(w.bits))
		w.bits >>= 8
	}
}

// symbol adds a literal, a length or the end of the block.
func (w *bitWriter) symbol(s int) { w.add(uint32(fixed[s].code), fixed[s].n) }

// fixed has the fixed codes of the symbols, turned, because they go highest bit first.
var fixed = func() (codes [288]struct {
	code uint16
	n    int
}) {
	for s := range codes {
		code, n := uint16(0xc0+s-280), 8
		switch {
		case s < 144:
			code, n = uint16(0x30+s), 8
		case s < 256:
			code, n = uint16(0x190+s-144), 9
		case s < 280:
			code, n = uint16(s-256), 7
		}
		codes[s].code, codes[s].n = bits.Reverse16(code)>>(16-n), n
	}
	return codes
}()

// match adds a copy of n bytes from dist bytes before. Both codes are two leading bits of
// the number, and the others behind them.
func (w *bitWriter) match(n, dist int) {
	if n == maxMatch {
		w.symbol(285)
	} else {
		l := uint32(n - 3)
		extra := max(bits.Len32(l)-3, 0)
		w.symbol(257 + 4*extra + int(l>>extra))
		w.add(l&(1<<extra-1), extra)
	}
	d := uint32(dist - 1)
	extra := max(bits.Len32(d)-2, 0)
	w.add(bits.Reverse32(uint32(2*extra)+d>>extra)>>27, 5)
	w.add(d&(1<<extra-1), extra)
}
