package toolchain

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func walkBytes(b []byte) (Layer, error) {
	return Walk(context.Background(), bytes.NewReader(b), testVersion, nil)
}

func TestWalkVisits(t *testing.T) {
	files := testFiles()
	layer, want := writeLayer(t, makeZip(t, files))
	contents := map[string]string{}
	for _, f := range files {
		contents[strings.Replace(f.name, "_go.mod", "go.mod", 1)] = f.content
	}
	var names []string
	got, err := Walk(context.Background(), bytes.NewReader(layer), testVersion, func(f File, content io.Reader) error {
		names = append(names, f.Name)
		b, err := io.ReadAll(content)
		if string(b) != contents[f.Name] || f.Size != int64(len(b)) || f.Mode != Mode(f.Name) {
			t.Errorf("%v has %d bytes, want %d", f, len(b), len(contents[f.Name]))
		}
		return err
	})
	if err != nil || got != want {
		t.Errorf("Walk = %v, %v, want %v", got, err, want)
	}
	if len(names) != len(files) || !slices.IsSorted(names) {
		t.Errorf("%d names, want %d, sorted", len(names), len(files))
	}
}

func TestWalkEndsWithItsVisitor(t *testing.T) {
	layer, _ := writeLayer(t, makeZip(t, testFiles()))
	stop := errors.New("stop")
	before := runtime.NumGoroutine()
	for _, name := range []string{"VERSION", "bin/go", "src/ملف.txt"} {
		_, err := Walk(context.Background(), bytes.NewReader(layer), testVersion, func(f File, _ io.Reader) error {
			if f.Name == name {
				return stop
			}
			return nil
		})
		if err != stop {
			t.Errorf("Walk = %v, want %v", err, stop)
		}
		ctx, cancel := context.WithCancel(context.Background())
		_, err = Walk(ctx, bytes.NewReader(layer), testVersion, func(f File, _ io.Reader) error {
			if f.Name == name {
				cancel()
			}
			return nil
		})
		if err != context.Canceled {
			t.Errorf("Walk = %v, want %v", err, context.Canceled)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// layerOf makes a layer of any tar.
func layerOf(tarball []byte) []byte {
	var b bytes.Buffer
	r := &run{w: &b}
	r.Write(tarball)
	r.flush()
	return b.Bytes()
}

func tarOf(headers ...*tar.Header) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			panic(err)
		}
		w.Write(make([]byte, h.Size))
	}
	w.Close()
	return b.Bytes()
}

func regular(name string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: goroot + name, Mode: int64(Mode(name)), ModTime: time.Unix(0, 0)}
}

// badTars are the tars that Walk refuses, by the rule they break.
func badTars() map[string][]byte {
	changed := func(change func(h *tar.Header)) []byte {
		h := regular("src/a.go")
		change(h)
		return tarOf(h)
	}
	good := tarOf(regular("src/a.go"))
	full := tarOf(&tar.Header{Typeflag: tar.TypeReg, Name: goroot + "a", Mode: 0o644, Size: 5, ModTime: time.Unix(0, 0)})
	padded := bytes.Clone(full)
	padded[blockSize+5] = 1
	return map[string][]byte{
		"nothing":                {},
		"symbolic link":          changed(func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeSymlink, "/etc/passwd" }),
		"hard link":              changed(func(h *tar.Header) { h.Typeflag, h.Linkname = tar.TypeLink, "usr/local/go/bin/go" }),
		"directory":              changed(func(h *tar.Header) { h.Typeflag, h.Name = tar.TypeDir, goroot+"src/" }),
		"device":                 changed(func(h *tar.Header) { h.Typeflag = tar.TypeBlock }),
		"pipe":                   changed(func(h *tar.Header) { h.Typeflag = tar.TypeFifo }),
		"absolute name":          changed(func(h *tar.Header) { h.Name = "/" + h.Name }),
		"name with dot":          changed(func(h *tar.Header) { h.Name = "./" + h.Name }),
		"name outside":           changed(func(h *tar.Header) { h.Name = "usr/local/bin/go" }),
		"name with dot-dot":      changed(func(h *tar.Header) { h.Name = goroot + "../bin/go" }),
		"GOROOT":                 changed(func(h *tar.Header) { h.Name = "usr/local/go" }),
		"Windows device":         changed(func(h *tar.Header) { h.Name = goroot + "src/NUL.go" }),
		"backslash":              changed(func(h *tar.Header) { h.Name = goroot + `src\a.go` }),
		"_go.mod":                changed(func(h *tar.Header) { h.Name = goroot + "src/_go.mod" }),
		"whiteout":               tarOf(regular("src/a.go"), regular("src/a.go/.wh..wh..opq")),
		"executable that is not": changed(func(h *tar.Header) { h.Mode = 0o755 }),
		"setuid":                 changed(func(h *tar.Header) { h.Mode = 0o4644 }),
		"owner":                  changed(func(h *tar.Header) { h.Uid = 1000 }),
		"owner's name":           changed(func(h *tar.Header) { h.Uname = "root" }),
		"time":                   changed(func(h *tar.Header) { h.ModTime = time.Unix(1, 0) }),
		"GNU header":             changed(func(h *tar.Header) { h.Format = tar.FormatGNU }),
		"needless PAX header":    changed(func(h *tar.Header) { h.Format = tar.FormatPAX; h.PAXRecords = map[string]string{"GOFERRY.x": "y"} }),
		"global PAX header":      tarOf(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "x"}}),
		"same file twice":        tarOf(regular("src/a.go"), regular("src/a.go")),
		"other order":            tarOf(regular("src/b.go"), regular("src/a.go")),
		"names of other case":    tarOf(regular("src/A.go"), regular("src/a.go")),
		"file and directory":     tarOf(regular("src/a"), regular("src/a/b.go")),
		"no end":                 good[:blockSize],
		"half an end":            good[:2*blockSize],
		"empty block more":       append(bytes.Clone(good), zeros[:blockSize]...),
		"byte more":              append(bytes.Clone(good), 0),
		"second tar":             append(bytes.Clone(good), good...),
		"cut header":             good[:100],
		"cut content":            full[:blockSize+2],
		"cut padding":            full[:blockSize+100],
		"full padding":           padded,
		"deep directories":       tarOf(regular(strings.Repeat("a/", 7000) + "a")),
		"endless long names":     bytes.Repeat(tarOf(&tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("x", 600), Format: tar.FormatGNU})[:3*blockSize], 100),
	}
}

func TestWalkRefusesTars(t *testing.T) {
	if _, err := walkBytes(layerOf(tarOf(regular("src/a.go"), regular("src/b.go")))); err != nil {
		t.Fatal(err)
	}
	for rule, b := range badTars() {
		layer := layerOf(b)
		if l, err := walkBytes(layer); err == nil || l != (Layer{}) {
			t.Errorf("Walk of a layer with %s = %v, %v, want an error", rule, l, err)
		}
		if err := WriteZip(context.Background(), io.Discard, bytes.NewReader(layer), int64(len(layer)), testVersion); err == nil {
			t.Errorf("WriteZip of a layer with %s: want an error", rule)
		}
	}
}

// memberOf makes a member of a deflate stream.
func memberOf(stream, content []byte) []byte {
	b := append(header(int64(len(stream))), stream...)
	return append(b, trailer(crc32.ChecksumIEEE(content), int64(len(content)))...)
}

// badLayers are the gzip streams that Walk refuses, by the rule they break.
func badLayers() map[string][]byte {
	tarball := tarOf(regular("src/a.go"))
	good := layerOf(tarball)
	changed := func(at int) []byte {
		b := bytes.Clone(good)
		b[(at+len(b))%len(b)]++
		return b
	}
	stream := deflated(string(tarball))
	longer := memberOf(append(bytes.Clone(stream), 0), tarball)
	empty := memberOf(deflated(""), nil)
	var plain bytes.Buffer
	w := gzip.NewWriter(&plain)
	w.Write(tarball)
	w.Close()
	return map[string][]byte{
		"plain gzip":              plain.Bytes(),
		"no gzip":                 []byte("PK\x03\x04 and some more bytes than a header has"),
		"file name in the header": changed(3),
		"time in the header":      changed(4),
		"another extra field":     changed(12),
		"member size too big":     changed(17),
		"member size off by one":  changed(16),
		"damaged content":         changed(headerSize + 5),
		"wrong CRC":               changed(-8),
		"wrong size":              changed(-4),
		"cut trailer":             good[:len(good)-1],
		"cut stream":              good[:len(good)-9],
		"cut header":              good[:10],
		"byte behind":             append(bytes.Clone(good), 0),
		"zeros behind":            append(bytes.Clone(good), make([]byte, 512)...),
		"member behind":           append(bytes.Clone(good), good...),
		"empty member behind":     append(bytes.Clone(good), empty...),
		"empty member before":     append(bytes.Clone(empty), good...),
		"byte behind the stream":  longer,
		"size of nothing":         append([]byte(magic), 0, 0, 0, 0),
		"huge size":               append([]byte(magic), 255, 255, 255, 255),
		"huge member, cut":        append(append([]byte(magic), 255, 255, 255, 255), good[headerSize:]...),
	}
}

func TestWalkRefusesGzip(t *testing.T) {
	for rule, layer := range badLayers() {
		if l, err := walkBytes(layer); err == nil || l != (Layer{}) {
			t.Errorf("Walk of a layer with %s = %v, %v, want an error", rule, l, err)
		}
	}
}

// A member that is read while it is inflated has the same rules.
func TestWalkRefusesBigMembers(t *testing.T) {
	content := make([]byte, 2*streamed)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	var stored bytes.Buffer
	w, _ := flate.NewWriter(&stored, flate.NoCompression)
	w.Write(content)
	w.Close()
	h := regular("bin/go")
	h.Size = int64(len(content))
	end := layerOf(zeros[:])
	head := layerOf(tarOf(h)[:blockSize])
	layer := func(member []byte) []byte { return slices.Concat(head, member, end) }
	good := memberOf(stored.Bytes(), content)
	if _, err := walkBytes(layer(good)); err != nil {
		t.Fatal(err)
	}
	crc := bytes.Clone(good)
	crc[len(crc)-8]++
	size := bytes.Clone(good)
	size[16]++
	for rule, b := range map[string][]byte{
		"wrong CRC":        layer(crc),
		"wrong size":       layer(size),
		"bytes in between": layer(memberOf(append(stored.Bytes(), 0), content)),
		"cut":              layer(good)[:len(head)+len(good)-4],
		"missing end":      layer(good)[:len(head)+len(good)],
	} {
		if l, err := walkBytes(b); err == nil {
			t.Errorf("Walk of a big member with %s = %v, want an error", rule, l)
		}
	}
}

func TestWalkRefusesBombs(t *testing.T) {
	const size = ratioMin + 32<<20
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, flate.BestSpeed)
	crc := crc32.NewIEEE()
	for range size / (1 << 20) {
		io.MultiWriter(w, crc).Write(make([]byte, 1<<20))
	}
	w.Close()
	head, err := tarHeader(File{"a", 0o644, size})
	if err != nil {
		t.Fatal(err)
	}
	layer := slices.Concat(layerOf(head), header(int64(bomb.Len())), bomb.Bytes(), trailer(crc.Sum32(), size), layerOf(zeros[:]))
	var n int64
	_, err = Walk(context.Background(), bytes.NewReader(layer), testVersion, func(_ File, r io.Reader) error {
		var err error
		n, err = io.Copy(io.Discard, r)
		return err
	})
	if err == nil || n > ratioMin {
		t.Errorf("Walk gave %d bytes of a bomb of %d, %v", n, len(layer), err)
	}
}

func TestWalkNeedsAVersion(t *testing.T) {
	layer, _ := writeLayer(t, makeZip(t, testFiles()))
	if _, err := Walk(context.Background(), bytes.NewReader(layer), "v1.2.3", nil); err == nil {
		t.Error("Walk with another version: want an error")
	}
}

// FuzzWalk looks for layers that are taken, but are not what Transcode would have written.
func FuzzWalk(f *testing.F) {
	for _, b := range badTars() {
		f.Add(layerOf(b))
	}
	for _, b := range badLayers() {
		f.Add(b)
	}
	good, _ := writeLayer(f, makeZip(f, testFiles()[:3]))
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		type visited struct {
			File
			content string
		}
		var files []visited
		l, err := Walk(context.Background(), bytes.NewReader(b), testVersion, func(f File, r io.Reader) error {
			content, err := io.ReadAll(r)
			files = append(files, visited{f, string(content)})
			return err
		})
		if err != nil {
			return
		}
		var inZip []testFile
		for _, f := range files {
			if !fs.ValidPath(f.Name) || int64(len(f.content)) != f.Size {
				t.Errorf("Walk visited %v", f.File)
			}
			name, err := zipName(f.Name)
			if err != nil {
				t.Fatal(err)
			}
			inZip = append(inZip, testFile{name: name, content: f.content})
		}
		if _, again := writeLayer(t, makeZip(t, inZip)); again != l {
			t.Errorf("Walk = %v, written again %v", l, again)
		}
		if err := WriteZip(context.Background(), io.Discard, bytes.NewReader(b), int64(len(b)), testVersion); err != nil {
			t.Errorf("WriteZip of what Walk takes: %v", err)
		}
	})
}
