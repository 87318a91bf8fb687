package toolchain

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	blockSize = 512
	maxHeader = 32 * blockSize // of one entry with its PAX records
)

var zeros [2 * blockSize]byte // padding, and the end of a tar

// tarHeader returns the blocks before the content of f: one, or more with a PAX header.
func tarHeader(f File) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     goroot + f.Name,
		Mode:     int64(f.Mode),
		Size:     f.Size,
		ModTime:  time.Unix(0, 0),
	})
	return b.Bytes(), err
}

// padding is the number of bytes from the end of the content to the next header.
func padding(size int64) int64 { return -size & (blockSize - 1) }

// A tarReader reads the tar of a layer and takes nothing that is not as we write it.
type tarReader struct {
	r       io.Reader
	names   *seen
	last    string // name of the file before
	files   int
	padding int64 // behind its content
}

func newTarReader(r io.Reader) *tarReader {
	return &tarReader{r: r, names: &seen{entries: make(map[string]entry)}}
}

// A tarFile is an entry with its name in the module zip.
type tarFile struct {
	File
	zipName string
}

// next returns the next file, whose content the caller has to read from t.r before he calls
// next again. It returns io.EOF if the tar and t.r end rightly.
func (t *tarReader) next() (tarFile, error) {
	if err := t.skip(); err != nil {
		return tarFile{}, err
	}
	var raw bytes.Buffer
	// A new reader for each entry reads its header and no byte more.
	h, err := tar.NewReader(io.TeeReader(io.LimitReader(t.r, maxHeader), &raw)).Next()
	if err == io.EOF {
		return tarFile{}, t.end(raw.Bytes())
	}
	if err != nil {
		return tarFile{}, fmt.Errorf("behind file %q: %w", t.last, err)
	}
	f, err := t.check(h, raw.Bytes())
	if err != nil {
		return tarFile{}, err
	}
	t.last, t.padding = f.Name, padding(f.Size)
	return f, nil
}

// check returns the file that h describes, if raw is the header that we write for it.
func (t *tarReader) check(h *tar.Header, raw []byte) (tarFile, error) {
	name, ok := strings.CutPrefix(h.Name, goroot)
	if !ok {
		return tarFile{}, fmt.Errorf("entry %q is not below %s", h.Name, goroot)
	}
	inZip, err := zipName(name)
	if err != nil {
		return tarFile{}, err
	}
	f := tarFile{File{name, Mode(name), h.Size}, inZip}
	if want, err := tarHeader(f.File); err != nil || !bytes.Equal(raw, want) {
		return tarFile{}, fmt.Errorf("entry %q is not a regular file with the mode, owner, time and form that goferry writes", h.Name)
	}
	if t.files++; t.files > maxFiles {
		return tarFile{}, fmt.Errorf("more than %d files", maxFiles)
	}
	if name <= t.last {
		return tarFile{}, fmt.Errorf("file %q is behind %q", name, t.last)
	}
	return f, t.names.add(name)
}

// skip reads the padding of the file before.
func (t *tarReader) skip() error {
	var b [blockSize]byte
	if _, err := io.ReadFull(t.r, b[:t.padding]); err != nil {
		return noEOF(err)
	}
	if b != [blockSize]byte{} {
		return fmt.Errorf("padding of file %q is not empty", t.last)
	}
	return nil
}

// end returns io.EOF if raw is the end of a tar and there is nothing behind it.
func (t *tarReader) end(raw []byte) error {
	if !bytes.Equal(raw, zeros[:]) {
		return fmt.Errorf("behind file %q: %w", t.last, io.ErrUnexpectedEOF)
	}
	var b [1]byte
	if _, err := io.ReadFull(t.r, b[:]); err != nil {
		return err
	}
	return errors.New("bytes behind the end of the tar")
}
