package toolchain

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// benchZip is a zip of about 50 MB of content that compresses like a toolchain's: some big
// files, and many of a few KiB.
func benchZip(b *testing.B) (z []byte, size int64) {
	b.Helper()
	rnd := rand.New(rand.NewPCG(3, 4))
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = fmt.Appendf(nil, "%x ", rnd.Uint64()>>rnd.IntN(60))
	}
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := range 3000 {
		n := 1 << (8 + rnd.IntN(8))
		if i%500 == 0 {
			n = 5 << 20
		}
		f, err := w.Create(fmt.Sprintf("%ssrc/%d.go", zipPrefix(testVersion), i))
		if err != nil {
			b.Fatal(err)
		}
		content := make([]byte, 0, n+20)
		for len(content) < n {
			content = append(content, words[rnd.IntN(len(words))]...)
		}
		f.Write(content)
		size += int64(len(content))
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return buf.Bytes(), size
}

func BenchmarkWrite(b *testing.B) {
	z, size := benchZip(b)
	b.SetBytes(size)
	for b.Loop() {
		if _, err := write(context.Background(), io.Discard, bytes.NewReader(z), int64(len(z)), testVersion); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTranscode(b *testing.B) {
	z, size := benchZip(b)
	b.SetBytes(size)
	for b.Loop() {
		if err := Transcode(context.Background(), io.Discard, bytes.NewReader(z), int64(len(z)), testVersion); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	z, size := benchZip(b)
	layer, _ := writeLayer(b, z)
	b.SetBytes(size)
	for b.Loop() {
		if _, err := Walk(context.Background(), bytes.NewReader(layer), testVersion, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteZip(b *testing.B) {
	z, size := benchZip(b)
	layer, _ := writeLayer(b, z)
	b.SetBytes(size)
	for b.Loop() {
		if err := WriteZip(context.Background(), io.Discard, bytes.NewReader(layer), int64(len(layer)), testVersion); err != nil {
			b.Fatal(err)
		}
	}
}
