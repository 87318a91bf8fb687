package bundle

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"

	"github.com/goferry/goferry/bundle/inflate"
)

// zipSum recomputes the "h1:" sum of a module zip and refuses zips that the go command would
// not unpack on every system: names outside the module's own prefix, invalid names, names
// that differ only in case, links.
func zipSum(m module.Version, r io.ReaderAt, size int64) (string, error) {
	if err := checkDirectory(r, size); err != nil {
		return "", err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return "", err
	}
	prefix := m.String() + "/"
	files := make(map[string]*zip.File, len(z.File))
	names := make([]string, 0, len(z.File))
	var total, packed uint64
	folded := make(map[string]string, len(z.File))
	for _, f := range z.File {
		if err := checkZipName(f, prefix, folded); err != nil {
			return "", err
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > modzip.MaxZipFile || total > modzip.MaxZipFile {
			return "", fmt.Errorf("zip inflates to more than %d bytes", int64(modzip.MaxZipFile))
		}
		if packed += f.CompressedSize64; f.CompressedSize64 > uint64(size) || packed > uint64(size) {
			return "", errors.New("files of the zip overlap")
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
	return checkFold(strings.ToLower(rest), f, folded)
}

// checkFold refuses two files of one name, and a file with the name of a directory, where case
// does not count. folded has the files by name, and the directories by name and slash.
func checkFold(fold string, f *zip.File, folded map[string]string) error {
	if f.Mode().IsDir() {
		fold += "/"
	}
	other, ok := folded[fold]
	if !ok && !f.Mode().IsDir() {
		other, ok = folded[fold+"/"]
	}
	if ok && !f.Mode().IsDir() {
		return fmt.Errorf("zip has %q and %q, which collide where case does not count", other, f.Name)
	}
	folded[fold] = f.Name
	for dir := path.Dir(strings.TrimSuffix(fold, "/")); dir != "."; dir = path.Dir(dir) {
		if other, ok := folded[dir]; ok {
			return fmt.Errorf("zip has the file %q, and %q below it", other, f.Name)
		}
		if _, ok := folded[dir+"/"]; ok {
			break
		}
		folded[dir+"/"] = f.Name
	}
	return nil
}

// maxZipDirectory is the largest central directory of a zip, in bytes; it is read into memory as a
// whole. The largest of a module known has 4 MiB, for 25,000 files.
const maxZipDirectory = 16 << 20

// checkDirectory refuses a zip whose central directory is too large, or does not end where the
// end record begins: archive/zip reads all entries that it finds, however many it should.
// The numbers are those of APPNOTE 4.3.14 and 4.3.16.
func checkDirectory(r io.ReaderAt, size int64) error {
	if size > modzip.MaxZipFile {
		return fmt.Errorf("zip has %d bytes, more than %d", size, int64(modzip.MaxZipFile))
	}
	const end, locator, end64 = 22, 20, 56
	tail := make([]byte, min(size, end+locator+1<<16))
	if n, err := r.ReadAt(tail, size-int64(len(tail))); n < len(tail) {
		return err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < end {
		return zip.ErrFormat
	}
	from := uint64(size) - uint64(len(tail)-at) // of the end record, which is behind the directory
	length, offset := uint64(binary.LittleEndian.Uint32(tail[at+12:])), uint64(binary.LittleEndian.Uint32(tail[at+16:]))
	if at >= locator && bytes.HasPrefix(tail[at-locator:], []byte("PK\x06\x07")) {
		var b [end64]byte
		from = binary.LittleEndian.Uint64(tail[at-locator+8:])
		if from > uint64(size) {
			return zip.ErrFormat
		}
		if n, err := r.ReadAt(b[:], int64(from)); n < len(b) {
			return err
		}
		length, offset = binary.LittleEndian.Uint64(b[40:]), binary.LittleEndian.Uint64(b[48:])
	}
	if length > maxZipDirectory {
		return fmt.Errorf("zip has a directory of %d bytes, more than %d", length, maxZipDirectory)
	}
	if offset > from || offset+length != from {
		return errors.New("zip has a directory that does not end where it says")
	}
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
	const slack = 16 // lets inflate take its fast way to the end
	size := int(f.CompressedSize64)
	u.packed = slices.Grow(u.packed[:0], size+slack)[:size+slack]
	if n, err := r.ReadAt(u.packed[:size], offset); n < size {
		return nil, err
	}
	u.plain = slices.Grow(u.plain[:0], int(f.UncompressedSize64))[:f.UncompressedSize64]
	if n, read, err := inflate.Bytes(u.plain, u.packed); err != nil || n < len(u.plain) || read > size {
		return nil, fmt.Errorf("%q: %w", f.Name, cmp.Or(err, zip.ErrFormat))
	}
	if f.CRC32 != 0 && crc32.ChecksumIEEE(u.plain) != f.CRC32 {
		return nil, fmt.Errorf("%q: %w", f.Name, zip.ErrChecksum)
	}
	return io.NopCloser(bytes.NewReader(u.plain)), nil
}
