package inflate

import "math/bits"

// A table entry is 32 bits wide:
//
//	bit  31     the symbol is a literal
//	bits 16-30  the literal, the base of a length or distance, or where a subtable begins
//	bit  15     the symbol is no literal, length or distance: look at the two bits below
//	bit  14     the entry leads to a subtable
//	bit  13     the symbol is the end of the block
//	bits 8-11   bits of the code alone; of a link, the width of its subtable
//	bits 0-5    bits of the code and the extra bits behind it
//
// An entry with bit 15 alone is a code that must not occur.
const (
	literal = 1 << 31
	special = 1 << 15
	link    = 1 << 14
	end     = 1 << 13
	invalid = special
)

// The primary tables hold codes up to these lengths. Every table is as long as
// the worst complete code needs (zlib's enough.c tells, for 286 and 30 symbols).
const (
	preBits  = 7
	litBits  = 10
	distBits = 8
	maxLen   = 15 // no code is longer

	litSize  = 1334
	distSize = 402
)

// What the symbols of the three alphabets mean, as entries of codes of length 0.
var (
	preSymbols  [19]uint32
	litSymbols  [288]uint32
	distSymbols [32]uint32
)

// tables are those of the two codes of a block.
type tables struct {
	lit  [litSize]uint32
	dist [distSize]uint32
}

// fixedTables are for the codes of RFC 1951 3.2.6.
var fixedTables tables

func init() {
	for i := range preSymbols {
		preSymbols[i] = uint32(i) << 16
	}
	for i := range 256 {
		litSymbols[i] = literal | uint32(i)<<16
	}
	litSymbols[256] = special | end
	base := uint32(3)
	for i := range uint32(28) {
		extra := max(i/4, 1) - 1
		litSymbols[257+i] = base<<16 | extra
		base += 1 << extra
	}
	litSymbols[285] = 258 << 16
	litSymbols[286], litSymbols[287] = invalid, invalid
	base = 1
	for i := range uint32(30) {
		extra := max(i/2, 1) - 1
		distSymbols[i] = base<<16 | extra
		base += 1 << extra
	}
	distSymbols[30], distSymbols[31] = invalid, invalid

	var used [288]uint16
	for i := range used {
		n := 8
		switch {
		case 144 <= i && i < 256:
			n = 9
		case 256 <= i && i < 280:
			n = 7
		}
		used[i] = uint16(i<<4 | n)
	}
	build(fixedTables.lit[:], litBits, used[:], litSymbols[:])
	for i := range 32 {
		used[i] = uint16(i<<4 | 5)
	}
	build(fixedTables.dist[:], distBits, used[:32], distSymbols[:])
}

// build fills table for the canonical code of the symbols used,
// each shifted left by 4 above the length of its code, and reports
// whether there is one. Like compress/flate it takes complete codes, a single
// code of one bit, and no codes at all: use of what is missing fails later.
//
// Codes are visited from short to long, each stored once; whenever codes grow
// by a bit, what the table holds so far is copied behind itself.
func build(table []uint32, width int, used []uint16, symbols []uint32) bool {
	var count, next [maxLen + 2]uint16
	for _, u := range used {
		count[u&maxLen]++
	}
	unused := 1 << maxLen // code space, in codes of maxLen bits
	for n := 1; n <= maxLen; n++ {
		unused -= int(count[n]) << (maxLen - n)
		next[n+1] = next[n] + count[n]
	}
	if unused != 0 {
		return buildPartial(table[:1<<width], used, symbols)
	}
	var order [288]uint16 // symbols by length
	for _, u := range used {
		order[next[u&maxLen]%288] = u >> 4
		next[u&maxLen]++
	}

	n := 1
	for count[n] == 0 {
		n++
	}
	code, size := uint32(0), uint32(1)<<n // code is bit-reversed
	left := count[n]
	var prefix, start uint32 = 1 << 31, 0
	for _, sym := range order[:len(used)] {
		for left == 0 {
			if n++; n <= width {
				copy(table[size:2*size], table[:size])
				size *= 2
			}
			left = count[n]
		}
		left--
		e := symbols[sym] + uint32(n)<<8 + uint32(n)
		if n <= width {
			table[code] = e
		} else {
			if p := code & (1<<width - 1); p != prefix {
				prefix, start = p, size
				sub := n - width
				for space := int(left) + 1; space < 1<<sub; {
					sub++
					space = space<<1 + int(count[width+sub])
				}
				size += 1 << sub
				table[p] = special | link | start<<16 | uint32(sub)<<8
			}
			for i := start + code>>width; i < size; i += 1 << (n - width) {
				table[i] = e
			}
		}
		// Add one to a number whose bits are in reverse.
		high := uint32(1) << n >> 1
		if c := ^code & (1<<n - 1); c != 0 {
			high = 1 << (bits.Len32(c) - 1)
		}
		code = code&(high-1) | high
	}
	for ; n < width; n++ {
		copy(table[size:2*size], table[:size])
		size *= 2
	}
	return true
}

// buildPartial is build for codes that leave code space unused, or use too much.
func buildPartial(table []uint32, used []uint16, symbols []uint32) bool {
	for i := range table {
		table[i] = invalid
	}
	if len(used) == 0 {
		return true
	}
	if len(used) > 1 || used[0]&maxLen != 1 {
		return false
	}
	for i := 0; i < len(table); i += 2 {
		table[i] = symbols[used[0]>>4] + 1<<8 + 1
	}
	return true
}
