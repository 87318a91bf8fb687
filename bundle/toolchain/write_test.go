package toolchain

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/sumdb/dirhash"
)

const testVersion = "v0.0.1-go1.26.8.linux-amd64"

type testFile struct {
	name, content string
	stored        bool
}

// testFiles are a toolchain with all that is special: big, small, empty and stored files, a
// run that is longer than a member, names that need a prefix or PAX, go.mod files.
func testFiles() []testFile {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		words := []string{"func ", "return ", "err ", "package ", "if ", "!= ", "nil\n", "\t", "\xff\xfe"}
		var b strings.Builder
		for b.Len() < n {
			b.WriteString(words[rnd.IntN(len(words))])
		}
		return b.String()[:n]
	}
	files := []testFile{
		{name: "VERSION", content: "go1.26.8\ntime 2026-01-01T00:00:00Z\n"},
		{name: "bin/go", content: text(200_000)},
		{name: "bin/gofmt", content: text(1000)},
		{name: "lib/noise", content: text(maxRun + 5000), stored: true},
		{name: "lib/wasm/go_js_wasm_exec", content: "#!/bin/sh\n"},
		{name: "src/_go.mod", content: "module std\n"},
		{name: "src/cmd/_go.mod", content: text(smallFile)},
		{name: "src/all.bash", content: text(smallFile - 1)},
		{name: "src/empty.go"},
		{name: "src/" + strings.Repeat("long/", 30) + "prefix.go", content: text(5000)},
		{name: "src/" + strings.Repeat("x", 200) + "/pax.go", content: text(512)},
		{name: "src/ملف.txt", content: text(1024)},
	}
	for i := range 200 {
		files = append(files, testFile{name: "src/many/" + string(rune('a'+i%26)) + strings.Repeat("z", i/26) + ".go", content: text(rnd.IntN(8000))})
	}
	return files
}

// deflated compresses with the package's own compressor, so that no golden digest depends on
// a library's.
func deflated(content string) []byte {
	r := &run{buf: []byte(content)}
	r.deflate()
	return r.out.b
}

func makeZip(t testing.TB, files []testFile) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{
			Name:               zipPrefix(testVersion) + f.name,
			CRC32:              crc32.ChecksumIEEE([]byte(f.content)),
			UncompressedSize64: uint64(len(f.content)),
		}
		raw := []byte(f.content)
		if !f.stored {
			h.Method, raw = zip.Deflate, deflated(f.content)
		}
		h.CompressedSize64 = uint64(len(raw))
		fw, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		fw.Write(raw)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeLayer(t testing.TB, z []byte) ([]byte, Layer) {
	t.Helper()
	var b bytes.Buffer
	l, err := write(context.Background(), &b, bytes.NewReader(z), int64(len(z)), testVersion)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), l
}

// The digests pin the format: if one changes, the same toolchain has another layer than in
// all bundles before.
func TestWriteGolden(t *testing.T) {
	const (
		wantDigest = "sha256:fd3d18fb11fad14faa386afa85c83da11b7b12945cceddb5e3b1061475aa41a8"
		wantDiffID = "sha256:3ea7c3d6842c779c91ee797c96adf4fbcb61983eee80eb9fc0bb8bec3a3ea5f1"
	)
	layer, l := writeLayer(t, makeZip(t, testFiles()))
	if got := digest.FromBytes(layer); got != wantDigest {
		t.Errorf("digest %s, want %s", got, wantDigest)
	}
	if l.DiffID != wantDiffID {
		t.Errorf("DiffID %s, want %s", l.DiffID, wantDiffID)
	}
}

func TestWriteTakesAnyOrder(t *testing.T) {
	files := testFiles()
	want, _ := writeLayer(t, makeZip(t, files))
	slices.Reverse(files)
	if got, _ := writeLayer(t, makeZip(t, files)); !bytes.Equal(got, want) {
		t.Error("the layer depends on the order of the zip")
	}
}

func TestWriteSums(t *testing.T) {
	z := makeZip(t, testFiles())
	layer, l := writeLayer(t, z)
	if want := hashZip(t, z); l.Sum != want {
		t.Errorf("Sum = %s, want %s", l.Sum, want)
	}
	gz, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	if want, err := digest.FromReader(gz); err != nil || l.DiffID != want {
		t.Errorf("DiffID = %s, want %s, %v", l.DiffID, want, err)
	}
	walked, err := Walk(context.Background(), bytes.NewReader(layer), testVersion, nil)
	if err != nil || walked != l {
		t.Errorf("Walk = %v, %v, want %v", walked, err, l)
	}
}

// Any tar reader has to see the toolchain.
func TestWriteForOtherReaders(t *testing.T) {
	files := testFiles()
	layer, _ := writeLayer(t, makeZip(t, files))
	gz, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for tr := tar.NewReader(gz); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(b)
	}
	for _, f := range files {
		name := "usr/local/go/" + strings.Replace(f.name, "_go.mod", "go.mod", 1)
		if got[name] != f.content {
			t.Errorf("%s has %d other bytes, want %d", name, len(got[name]), len(f.content))
		}
	}
	if len(got) != len(files) {
		t.Errorf("%d files, want %d", len(got), len(files))
	}
}

func TestTranscodeWritesTheSame(t *testing.T) {
	z := makeZip(t, testFiles())
	want, _ := writeLayer(t, z)
	var got bytes.Buffer
	if err := Transcode(context.Background(), &got, bytes.NewReader(z), int64(len(z)), testVersion); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("Transcode and write do not write the same")
	}
}

func TestWriteZip(t *testing.T) {
	z := makeZip(t, testFiles())
	layer, _ := writeLayer(t, z)
	var back bytes.Buffer
	if err := WriteZip(context.Background(), &back, bytes.NewReader(layer), int64(len(layer)), testVersion); err != nil {
		t.Fatal(err)
	}
	if got, want := hashZip(t, back.Bytes()), hashZip(t, z); got != want {
		t.Errorf("sum of the zip = %s, want %s", got, want)
	}
	if again, _ := writeLayer(t, back.Bytes()); !bytes.Equal(again, layer) {
		t.Error("the zip gives another layer")
	}
}

func hashZip(t *testing.T, z []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "toolchain.zip")
	if err := os.WriteFile(file, z, 0o666); err != nil {
		t.Fatal(err)
	}
	sum, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// mangled returns a zip of one file with something changed.
func mangled(t *testing.T, size int, change func(h *zip.FileHeader, raw []byte) []byte) []byte {
	t.Helper()
	content := strings.Repeat("go1.26.8", size/8)
	h := &zip.FileHeader{
		Name:               zipPrefix(testVersion) + "src/a.go",
		Method:             zip.Deflate,
		CRC32:              crc32.ChecksumIEEE([]byte(content)),
		UncompressedSize64: uint64(len(content)),
	}
	raw := change(h, deflated(content))
	h.CompressedSize64 = uint64(len(raw))
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	fw, err := w.CreateRaw(h)
	if err != nil {
		t.Fatal(err)
	}
	fw.Write(raw)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWriteRefuses(t *testing.T) {
	for name, change := range map[string]func(h *zip.FileHeader, raw []byte) []byte{
		"another module":     func(h *zip.FileHeader, raw []byte) []byte { h.Name = "example.com/m@v1.0.0/a.go"; return raw },
		"name with dot-dot":  func(h *zip.FileHeader, raw []byte) []byte { h.Name = zipPrefix(testVersion) + "../a"; return raw },
		"directory":          func(h *zip.FileHeader, raw []byte) []byte { h.Name += "/"; return raw },
		"go.mod":             func(h *zip.FileHeader, raw []byte) []byte { h.Name = zipPrefix(testVersion) + "src/go.mod"; return raw },
		"link":               func(h *zip.FileHeader, raw []byte) []byte { h.SetMode(0o777 | os.ModeSymlink); return raw },
		"wrong CRC":          func(h *zip.FileHeader, raw []byte) []byte { h.CRC32++; return raw },
		"wrong bigger size":  func(h *zip.FileHeader, raw []byte) []byte { h.UncompressedSize64++; return raw },
		"wrong smaller size": func(h *zip.FileHeader, raw []byte) []byte { h.UncompressedSize64--; return raw },
		"huge size":          func(h *zip.FileHeader, raw []byte) []byte { h.UncompressedSize64 = 1 << 63; return raw },
		"unknown method":     func(h *zip.FileHeader, raw []byte) []byte { h.Method = 12; return raw },
		"cut stream":         func(h *zip.FileHeader, raw []byte) []byte { return raw[:len(raw)-1] },
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{800, 8000} {
				z := mangled(t, size, change)
				l, err := write(context.Background(), io.Discard, bytes.NewReader(z), int64(len(z)), testVersion)
				if err == nil || l != (Layer{}) {
					t.Errorf("write of a file of %d bytes = %v, %v, want an error", size, l, err)
				}
			}
		})
	}
	// A small file's stream is read until its end, what is behind is not copied.
	z := mangled(t, 8000, func(h *zip.FileHeader, raw []byte) []byte { return append(raw, 0) })
	if _, err := write(context.Background(), io.Discard, bytes.NewReader(z), int64(len(z)), testVersion); err == nil {
		t.Error("write of a stream with a byte behind it: want an error")
	}
}

func TestWriteEndsWithItsWriter(t *testing.T) {
	z := makeZip(t, testFiles())
	full := errors.New("disk is full")
	_, err := write(context.Background(), writerFunc(func([]byte) (int, error) { return 0, full }), bytes.NewReader(z), int64(len(z)), testVersion)
	if !errors.Is(err, full) {
		t.Errorf("write = %v, want %v", err, full)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := write(ctx, io.Discard, bytes.NewReader(z), int64(len(z)), testVersion); !errors.Is(err, context.Canceled) {
		t.Errorf("write = %v, want %v", err, context.Canceled)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// FuzzRun compares with another inflater.
func FuzzRun(f *testing.F) {
	f.Add([]byte("a"))
	f.Add([]byte("abcabcabcabcab"))
	f.Add(make([]byte, 1000))
	f.Add([]byte(strings.Repeat("\xff\x90\x8f\x00", 100)))
	for _, file := range testFiles() {
		f.Add([]byte(file.content))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := io.ReadAll(flate.NewReader(bytes.NewReader(deflated(string(b)))))
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("inflate(deflate(%q)) = %q, %v", b, got, err)
		}
	})
}

// write writes the layer of a module zip to w, and proves it with [Walk] at the same time.
func write(ctx context.Context, w io.Writer, zip io.ReaderAt, n int64, version string) (Layer, error) {
	pr, pw := io.Pipe()
	var layer Layer
	var walkErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		layer, walkErr = Walk(ctx, pr, version, nil)
		pr.CloseWithError(walkErr)
	}()
	err := Transcode(ctx, io.MultiWriter(w, pw), zip, n, version)
	pw.CloseWithError(err)
	<-done
	if err == nil || walkErr != nil && errors.Is(err, walkErr) {
		err = walkErr
	}
	if err != nil {
		return Layer{}, err
	}
	return layer, nil
}
