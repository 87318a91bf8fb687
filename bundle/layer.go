package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/goferry/goferry/bundle/inflate"
)

// epoch is the time of every entry of every layer.
var epoch = time.Unix(0, 0)

// moduleFile returns the name below the root of a module's file with the given extension.
func moduleFile(m module.Version, ext string) (string, error) {
	p, err := module.EscapePath(m.Path)
	if err != nil {
		return "", err
	}
	v, err := module.EscapeVersion(m.Version)
	if err != nil {
		return "", err
	}
	return downloadDir + p + "/@v/" + v + ext, nil
}

func writeTarFile(tw *tar.Writer, name string, data []byte) error {
	if err := tw.WriteHeader(tarFile(name, int64(len(data)))); err != nil {
		return err
	}
	_, err := tw.Write(data)
	return err
}

func tarFile(name string, size int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: epoch}
}

// moduleTar lays out a module layer around its zip: what stands before the zip's bytes and
// what stands behind them.
func moduleTar(m module.Version, info, mod []byte, zipSize int64) (head, tail []byte, err error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, f := range []struct {
		ext  string
		data []byte
	}{{".info", info}, {".mod", mod}} {
		name, err := moduleFile(m, f.ext)
		if err != nil {
			return nil, nil, err
		}
		if err := writeTarFile(tw, name, f.data); err != nil {
			return nil, nil, err
		}
	}
	name, err := moduleFile(m, ".zip")
	if err != nil {
		return nil, nil, err
	}
	if err := tw.WriteHeader(tarFile(name, zipSize)); err != nil {
		return nil, nil, err
	}
	const block, trailer = 512, 1024
	pad := (block - zipSize%block) % block
	return b.Bytes(), make([]byte, pad+trailer), nil
}

// goModSum returns the "h1:" sum of a go.mod file, as the "/go.mod" lines of go.sum have it.
func goModSum(mod []byte) (string, error) {
	return dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(mod)), nil
	})
}

// zipSum recomputes the "h1:" sum of a module zip and refuses zips that the go command would
// not unpack on every system: names outside the module's own prefix, invalid names, names
// that differ only in case, links.
func zipSum(m module.Version, r io.ReaderAt, size int64) (string, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return "", err
	}
	prefix := m.String() + "/"
	files := make(map[string]*zip.File, len(z.File))
	names := make([]string, 0, len(z.File))
	var total uint64
	folded := make(map[string]string, len(z.File))
	for _, f := range z.File {
		if err := checkZipName(f, prefix, folded); err != nil {
			return "", err
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > modzip.MaxZipFile || total > modzip.MaxZipFile {
			return "", fmt.Errorf("zip inflates to more than %d bytes", int64(modzip.MaxZipFile))
		}
		files[f.Name] = f
		names = append(names, f.Name)
	}
	u := unpackers.Get().(*unzipper)
	defer unpackers.Put(u)
	return dirhash.Hash1(names, func(name string) (io.ReadCloser, error) { return u.open(r, files[name]) })
}

// A boundedReader ends a file that inflates to more than the zip says.
type boundedReader struct {
	io.ReadCloser
	left int64
}

func (r *boundedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, zip.ErrFormat
	}
	return n, err
}

func checkZipName(f *zip.File, prefix string, folded map[string]string) error {
	rest, ok := strings.CutPrefix(f.Name, prefix)
	if !ok {
		return fmt.Errorf("zip has %q, outside of %q", f.Name, prefix)
	}
	if strings.HasSuffix(rest, "/") {
		rest = strings.TrimSuffix(rest, "/") // directories are allowed, and unpacked as nothing
	} else if !f.Mode().IsRegular() {
		return fmt.Errorf("zip has %q, which is not a regular file", f.Name)
	}
	if rest == "" {
		return nil
	}
	if path.Clean(rest) != rest {
		return fmt.Errorf("zip has the unclean name %q", f.Name)
	}
	if err := module.CheckFilePath(rest); err != nil {
		return err
	}
	fold := strings.ToLower(rest)
	if other, ok := folded[fold]; ok {
		return fmt.Errorf("zip has %q and %q, which collide where case does not count", other, f.Name)
	}
	folded[fold] = f.Name
	return nil
}

// maxInMemory is the largest file of a zip that is inflated in memory, in bytes.
const maxInMemory = 4 << 20

var unpackers = sync.Pool{New: func() any { return new(unzipper) }}

// An unzipper inflates the files of a zip, one after the other, in memory that it uses again.
// Streaming them, as archive/zip does it, takes more than twice the time.
type unzipper struct {
	packed, plain []byte
}

// open returns the content of f, a file of the zip that r has. It is good until the next open.
func (u *unzipper) open(r io.ReaderAt, f *zip.File) (io.ReadCloser, error) {
	if f.Method != zip.Deflate || max(f.CompressedSize64, f.UncompressedSize64) > maxInMemory {
		rc, err := f.Open()
		if err != nil {
			return nil, err
		}
		return &boundedReader{rc, int64(f.UncompressedSize64)}, nil
	}
	offset, err := f.DataOffset()
	if err != nil {
		return nil, err
	}
	u.packed = slices.Grow(u.packed[:0], int(f.CompressedSize64))[:f.CompressedSize64]
	if n, err := r.ReadAt(u.packed, offset); n < len(u.packed) {
		return nil, err
	}
	u.plain = slices.Grow(u.plain[:0], int(f.UncompressedSize64))[:f.UncompressedSize64]
	if n, _, err := inflate.Bytes(u.plain, u.packed); err != nil || n < len(u.plain) {
		return nil, fmt.Errorf("%q: %w", f.Name, cmp.Or(err, zip.ErrFormat))
	}
	if f.CRC32 != 0 && crc32.ChecksumIEEE(u.plain) != f.CRC32 {
		return nil, fmt.Errorf("%q: %w", f.Name, zip.ErrChecksum)
	}
	return io.NopCloser(bytes.NewReader(u.plain)), nil
}
