package inflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	gobuild "go/build"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deflate compresses data as compress/flate does at a level.
func deflate(tb testing.TB, data []byte, level int) []byte {
	tb.Helper()
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return buf.Bytes()
}

// reference is what compress/flate makes of src, and how much of src it reads.
func reference(src []byte, limit int64) (data []byte, read int, err error) {
	r := bytes.NewReader(src) // an io.ByteReader: flate reads no byte too many
	data, err = io.ReadAll(io.LimitReader(flate.NewReader(r), limit))
	return data, len(src) - r.Len(), err
}

// compare checks that Bytes says and does what compress/flate does with src.
func compare(tb testing.TB, src []byte) {
	tb.Helper()
	const limit = 1 << 22
	want, wantRead, wantErr := reference(src, limit+1)
	if len(want) > limit {
		return // too much for a test
	}
	size := len(want)
	if wantErr != nil {
		size += 1000 // so that the cause is found, not the end of dst
	}
	// Bytes must keep to dst and src even if their arrays go on.
	room := bytes.Repeat([]byte{0xa5}, size+64)
	n, read, err := Bytes(room[:size], src[:len(src):len(src)])
	if !bytes.Equal(room[size:], bytes.Repeat([]byte{0xa5}, 64)) {
		tb.Fatalf("Bytes(%x) wrote behind dst", src)
	}
	if wantErr != nil {
		var corrupt flate.CorruptInputError
		switch {
		case errors.As(wantErr, &corrupt) && (errors.Is(err, ErrCorrupt) || errors.Is(err, io.ErrUnexpectedEOF)):
		case errors.Is(wantErr, io.ErrUnexpectedEOF) && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrCorrupt)):
		default:
			tb.Fatalf("Bytes(%x) = %d, %d, %v, want error %v", src, n, read, err, wantErr)
		}
		if n != 0 || read != 0 {
			tb.Fatalf("Bytes(%x) = %d, %d, %v, want 0, 0", src, n, read, err)
		}
		return
	}
	if err != nil || n != len(want) || read != wantRead {
		tb.Fatalf("Bytes(%x) = %d, %d, %v, want %d, %d, nil", src, n, read, err, len(want), wantRead)
	}
	if !bytes.Equal(room[:n], want) {
		tb.Fatalf("Bytes(%x) differs from compress/flate", src)
	}
	if size > 0 {
		if _, _, err := Bytes(room[:size-1], src); !errors.Is(err, ErrLong) {
			tb.Fatalf("Bytes(%x) with a byte too few = %v, want %v", src, err, ErrLong)
		}
	}
}

// goSources returns some source files of the standard library.
func goSources(tb testing.TB, count int) [][]byte {
	tb.Helper()
	var files [][]byte
	for _, dir := range []string{"strconv", "net/http", "go/types", "unicode", "errors", "crypto/tls"} {
		names, err := filepath.Glob(filepath.Join(gobuild.Default.GOROOT, "src", dir, "*.go"))
		if err != nil {
			tb.Fatal(err)
		}
		for _, name := range names[:min(len(names), count)] {
			data, err := os.ReadFile(name)
			if err != nil {
				tb.Fatal(err)
			}
			files = append(files, data)
		}
	}
	if len(files) == 0 {
		tb.Fatal("no Go source files")
	}
	return files
}

// samples are inputs with every kind of redundancy.
func samples(size int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, uint64(size)))
	random, text, skewed, periodic := make([]byte, size), make([]byte, size), make([]byte, size), make([]byte, size)
	period := 1 + rnd.IntN(40)
	for i := range size {
		random[i] = byte(rnd.Uint32())
		text[i] = "etaoin shrdlu\n"[rnd.IntN(14)]
		skewed[i] = byte(min(rnd.ExpFloat64()*20, 255))
		periodic[i] = byte(i % period)
	}
	return [][]byte{make([]byte, size), random, text, skewed, periodic}
}

func TestSameAsFlate(t *testing.T) {
	levels := []int{flate.HuffmanOnly, flate.DefaultCompression, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	data := goSources(t, 4)
	for _, size := range []int{65535, 65536, 100_000, 300_000} {
		data = append(data, samples(size)...)
	}
	for _, level := range levels {
		for _, d := range data {
			compare(t, deflate(t, d, level))
		}
	}
	var buf bytes.Buffer
	w, _ := flate.NewWriter(&buf, 5)
	for size := range 2001 {
		for i, d := range samples(size) {
			buf.Reset()
			w.Reset(&buf)
			w.Write(d)
			if (size+i)%3 == 0 {
				w.Flush() // an empty stored block
				w.Write(d[:size/3])
			}
			w.Close()
			compare(t, buf.Bytes())
			compare(t, append(buf.Bytes(), "behind the stream"...))
		}
	}
}

func TestTruncatedAndFlipped(t *testing.T) {
	data := samples(700)
	source := goSources(t, 1)[0]
	data = append(data, source[:min(len(source), 3000)])
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 5, 9} {
		for _, d := range data {
			src := deflate(t, d, level)
			for i := range src {
				compare(t, src[:i])
				if _, _, err := Bytes(make([]byte, len(d)), src[:i]); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("Bytes of %d of %d bytes: %v, want %v", i, len(src), err, io.ErrUnexpectedEOF)
				}
				for bit := range 8 {
					src[i] ^= 1 << bit
					compare(t, src)
					src[i] ^= 1 << bit
				}
			}
		}
	}
}

// bitWriter writes streams that no compressor would.
type bitWriter struct {
	buf []byte
	n   int
}

// put appends the low n bits of v, lowest first.
func (w *bitWriter) put(v, n int) *bitWriter {
	for i := range n {
		if w.n%8 == 0 {
			w.buf = append(w.buf, 0)
		}
		w.buf[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
	return w
}

// code appends a Huffman code, highest bit first.
func (w *bitWriter) code(v, n int) *bitWriter {
	for i := n - 1; i >= 0; i-- {
		w.put(v>>i&1, 1)
	}
	return w
}

// dynamic begins a block with the code lengths given, each spelled out: the
// code for lengths has 16 codes of 4 bits.
func dynamic(lit, dist []int) *bitWriter {
	w := new(bitWriter).put(1, 1).put(2, 2).put(len(lit)-257, 5).put(len(dist)-1, 5).put(15, 4)
	for _, sym := range preOrder {
		if sym < 16 {
			w.put(4, 3)
		} else {
			w.put(0, 3)
		}
	}
	for _, n := range append(lit, dist...) {
		w.code(n, 4)
	}
	return w
}

// lengths makes a list of code lengths out of pairs of symbol and length.
func lengths(n int, pairs ...int) []int {
	l := make([]int, n)
	for i := 0; i < len(pairs); i += 2 {
		l[pairs[i]] = pairs[i+1]
	}
	return l
}

// cases are streams at the borders of RFC 1951. want is nil if the stream is corrupt.
var cases = []struct {
	name string
	src  []byte
	want []byte
}{
	{"empty stored block", unhex("010000ffff"), []byte{}},
	{"stored block", unhex("010100feff61"), []byte("a")},
	{"stored block, wrong complement", unhex("010100ffff61"), nil},
	{"stored block, too short", unhex("010200fdff61"), nil},
	{"padding of a stored block is ignored", unhex("f90100feff61"), []byte("a")},
	{"empty block of fixed codes", unhex("0300"), []byte{}},
	{"block type 3", unhex("0700"), nil},
	{"nothing", nil, nil},
	{"no final block", unhex("000000ffff"), nil},
	{"fixed literal 286", fixed().code(0xc6, 8).code(0, 5).code(0, 7).buf, nil},
	{"fixed literal 287", fixed().code(0xc7, 8).code(0, 5).code(0, 7).buf, nil},
	{"fixed distance 30", fixed().code(0x91, 8).code(1, 7).code(30, 5).code(0, 7).buf, nil},
	{"fixed distance 31", fixed().code(0x91, 8).code(1, 7).code(31, 5).code(0, 7).buf, nil},
	{"distance 1 of 1", fixed().code(0x91, 8).code(1, 7).code(0, 5).code(0, 7).buf, []byte("aaaa")},
	{"distance 2 of 1", fixed().code(0x91, 8).code(1, 7).code(1, 5).code(0, 7).buf, nil},
	{"length 258 as 284 and 31", fixed().code(0x91, 8).code(0xc4, 8).put(31, 5).code(0, 5).code(0, 7).buf, bytes.Repeat([]byte("a"), 259)},
	{"length 258 as 285", fixed().code(0x91, 8).code(0xc5, 8).code(0, 5).code(0, 7).buf, bytes.Repeat([]byte("a"), 259)},
	{"no distance codes", dynamic(lengths(257, 'a', 1, 256, 1), lengths(1)).code(0, 1).code(1, 1).buf, []byte("a")},
	{"no distance codes, but a length", dynamic(lengths(258, 'a', 1, 256, 2, 257, 2), lengths(1)).code(0, 1).code(3, 2).code(0, 1).code(2, 2).buf, nil},
	{"one distance code", dynamic(lengths(258, 'a', 1, 256, 2, 257, 2), lengths(1, 0, 1)).code(0, 1).code(3, 2).code(0, 1).code(2, 2).buf, []byte("aaaa")},
	{"one distance code, the other used", dynamic(lengths(258, 'a', 1, 256, 2, 257, 2), lengths(1, 0, 1)).code(0, 1).code(3, 2).code(1, 1).code(2, 2).buf, nil},
	{"one distance code of two bits", dynamic(lengths(257, 'a', 1, 256, 1), lengths(1, 0, 2)).code(0, 1).code(1, 1).buf, nil},
	{"one literal code", dynamic(lengths(257, 256, 1), lengths(1)).code(0, 1).buf, []byte{}},
	{"one literal code, the other used", dynamic(lengths(257, 256, 1), lengths(1)).code(1, 1).buf, nil},
	{"no literal codes", dynamic(lengths(257), lengths(1)).put(0, 20).buf, nil},
	{"no end of block", dynamic(lengths(257, 'a', 1, 'b', 1), lengths(1)).put(0, 20).buf, nil},
	{"incomplete literal code", dynamic(lengths(257, 'a', 2, 256, 1), lengths(1)).code(0, 1).buf, nil},
	{"over-subscribed literal code", dynamic(lengths(257, 'a', 1, 'b', 1, 256, 1), lengths(1)).code(0, 1).buf, nil},
	{"incomplete distance code", dynamic(lengths(257, 'a', 1, 256, 1), lengths(2, 0, 1, 1, 2)).code(1, 1).buf, nil},
	{"over-subscribed distance code", dynamic(lengths(257, 'a', 1, 256, 1), lengths(3, 0, 1, 1, 1, 2, 1)).code(1, 1).buf, nil},
	{"287 literal codes", dynamic(lengths(287, 'a', 1, 256, 1), lengths(1)).code(1, 1).buf, nil},
	{"31 distance codes", dynamic(lengths(257, 'a', 1, 256, 1), lengths(31)).code(1, 1).buf, nil},
	{"codes of 15 bits", dynamic(
		lengths(271, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 256, 15, 270, 15),
		lengths(16, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 15)).
		code(0x3ffe>>1<<1, 14).code(0x7fff, 15).put(0, 2).code(0, 1).code(0x7ffe, 15).buf, bytes.Repeat([]byte{13}, 24)},
	{"repeat with nothing before", new(bitWriter).put(1, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).
		put(1, 3).put(0, 3).put(1, 3).put(0, 3).code(0, 1).put(0, 20).buf, nil},
	{"repeat beyond the last length", new(bitWriter).put(1, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).
		put(0, 3).put(0, 3).put(1, 3).put(0, 3).code(0, 1).put(127, 7).code(0, 1).put(127, 7).put(0, 20).buf, nil},
	{"no code for lengths", new(bitWriter).put(1, 1).put(2, 2).put(0, 5).put(0, 5).put(0, 4).put(0, 40).buf, nil},
}

func fixed() *bitWriter { return new(bitWriter).put(1, 1).put(1, 2) }

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestBorders(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dst := make([]byte, 300)
			n, read, err := Bytes(dst, c.src)
			if c.want == nil {
				if err == nil {
					t.Errorf("Bytes = %q, want an error", dst[:n])
				}
			} else if err != nil || !bytes.Equal(dst[:n], c.want) || read != len(c.src) {
				t.Errorf("Bytes = %q, %d, %v, want %q, %d", dst[:n], read, err, c.want, len(c.src))
			}
			compare(t, c.src)
		})
	}
}

// Whatever complete codes a stream brings, they must fit the tables.
func TestTablesFit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var table [litSize]uint32
	for range 20_000 {
		n := 2 + rnd.IntN(285)
		lens := []uint8{1, 1}
		for len(lens) < n { // split a leaf: the code remains complete
			i := rnd.IntN(len(lens))
			if rnd.IntN(2) == 0 {
				i = len(lens) - 1
			}
			if lens[i] == maxLen {
				if rnd.IntN(1000) == 0 {
					break
				}
				continue
			}
			lens[i]++
			lens = append(lens, lens[i])
		}
		rnd.Shuffle(len(lens), func(i, j int) { lens[i], lens[j] = lens[j], lens[i] })
		var used []uint16
		for sym, n := range lens {
			used = append(used, uint16(sym)<<4|uint16(n))
		}
		if !build(table[:], litBits, used, litSymbols[:]) {
			t.Fatalf("build(%v) = false", lens)
		}
		if len(lens) <= 30 && !build(table[:distSize], distBits, used, distSymbols[:]) {
			t.Fatalf("build(%v) = false", lens)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	data := goSources(t, 1)[0]
	src, dst := deflate(t, data, 5), make([]byte, len(data))
	if n := testing.AllocsPerRun(100, func() { Bytes(dst, src) }); n >= 1 {
		t.Errorf("Bytes allocates %v times, want 0", n)
	}
}

func FuzzBytes(f *testing.F) {
	for _, c := range cases {
		f.Add(c.src)
	}
	for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
		for _, d := range samples(300) {
			f.Add(deflate(f, d, level))
		}
		f.Add(deflate(f, []byte(strings.Repeat("package inflate\n\nfunc init() {}\n", 9)), level))
	}
	f.Fuzz(func(t *testing.T, src []byte) { compare(t, src) })
}

// sized returns Go source files whose size is about size, and their streams as archive/zip makes them.
func sized(b *testing.B, size int) (data, streams [][]byte, total int64) {
	var joined []byte
	for _, d := range goSources(b, 1000) {
		joined = append(joined, d...)
		if size < 1<<20 && len(d) >= size {
			data = append(data, d[:size])
		}
	}
	if size >= 1<<20 {
		data = [][]byte{joined[:size]}
	}
	for _, d := range data[:min(len(data), 64)] {
		streams = append(streams, deflate(b, d, 5))
		total += int64(len(d))
	}
	return data[:len(streams)], streams, total
}

func benchmark(b *testing.B, inflate func(dst, src []byte) error) {
	for _, size := range []int{500, 4 << 10, 50 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			data, streams, total := sized(b, size)
			dst := make([]byte, size)
			b.SetBytes(total)
			b.ReportAllocs()
			for b.Loop() {
				for _, s := range streams {
					if err := inflate(dst, s); err != nil {
						b.Fatal(err)
					}
				}
			}
			if !bytes.Equal(dst, data[len(data)-1]) {
				b.Fatal("wrong bytes")
			}
		})
	}
}

func BenchmarkBytes(b *testing.B) {
	benchmark(b, func(dst, src []byte) error {
		_, _, err := Bytes(dst, src)
		return err
	})
}

func BenchmarkFlate(b *testing.B) {
	r := flate.NewReader(nil)
	benchmark(b, func(dst, src []byte) error {
		r.(flate.Resetter).Reset(bytes.NewReader(src), nil)
		_, err := io.ReadFull(r, dst)
		return err
	})
}
