package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// archive is an uncompressed tar file of a layout. One pass over its headers finds where everything is,
// and then it is read in place: nothing is unpacked.
type archive struct {
	path   string
	file   *os.File
	opened os.FileInfo    // as it was then; nil if the archive was created
	writer *archiveWriter // nil if the archive was opened and not created

	mu     sync.Mutex
	spans  map[string]span // by name in the archive
	proven map[digest.Digest]bool
	index  *index
}

// span is where in the file the content of an entry is.
type span struct{ offset, size int64 }

func openArchive(path string) (*archive, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mark(ErrNotFound, fmt.Errorf("there is no archive at %s", path))
	}
	if err != nil {
		return nil, local(err)
	}
	if !info.Mode().IsRegular() {
		return nil, mark(ErrNotLayout, fmt.Errorf("open %s: not a regular file", path))
	}
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, local(err)
	}
	a, err := readArchive(f, path)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return a, nil
}

func readArchive(f *os.File, path string) (*archive, error) {
	a := &archive{path: path, file: f, proven: map[digest.Digest]bool{}}
	var err error
	if a.opened, err = f.Stat(); err != nil {
		return nil, err
	}
	if a.spans, err = scanArchive(f); err != nil {
		return nil, err
	}
	data, err := a.readFile(layoutFile, maxDocument)
	if err != nil {
		return nil, err
	}
	if err := checkLayoutFile(data); err != nil {
		return nil, err
	}
	if data, err = a.readFile(indexFile, maxIndex); err != nil {
		return nil, err
	}
	a.index, err = parseIndex(data)
	return a, err
}

// scanArchive finds the files of a layout. Other files do not matter; a link or a device in place of one does,
// and so does a name that is there twice: two readers would see two layouts.
func scanArchive(f io.ReadSeeker) (map[string]span, error) {
	if err := checkPlain(f); err != nil {
		return nil, err
	}
	spans := map[string]span{}
	tr := tar.NewReader(f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return spans, nil
		}
		if err != nil {
			return nil, mark(ErrDigest, fmt.Errorf("archive is cut or malformed: %w", err))
		}
		name := strings.TrimPrefix(h.Name, "./")
		if !isLayoutName(name) {
			continue
		}
		if h.Typeflag != tar.TypeReg || isSparse(h) {
			return nil, malformed("%s: not a plain file in the archive", name)
		}
		if _, twice := spans[name]; twice {
			return nil, malformed("%s: twice in the archive", name)
		}
		// The tar reader does not read ahead.
		offset, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		spans[name] = span{offset, h.Size}
	}
}

func checkPlain(f io.ReadSeeker) error {
	var magic [4]byte
	n, err := io.ReadFull(f, magic[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	if isCompressed(magic[:n]) {
		return mark(ErrNotLayout, fmt.Errorf("the archive is compressed; decompress it first, it is read in place"))
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// isCompressed knows gzip and zstd by how they begin.
func isCompressed(magic []byte) bool {
	return bytes.HasPrefix(magic, []byte{0x1f, 0x8b}) || bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

func isLayoutName(name string) bool {
	if dir, file := path.Split(name); dir == blobDir+"/" {
		return validDigest(digest.Digest("sha256:" + file))
	}
	return name == layoutFile || name == indexFile
}

func isSparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func (a *archive) readFile(name string, limit int64) ([]byte, error) {
	s, ok := a.spans[name]
	if !ok {
		return nil, mark(ErrNotLayout, fmt.Errorf("not an archive of an OCI layout: it has no %s", name))
	}
	if s.size > limit {
		return nil, malformed("%s: %d bytes, at most %d are read", name, s.size, limit)
	}
	data := make([]byte, s.size)
	_, err := a.file.ReadAt(data, s.offset)
	if err == io.EOF {
		err = malformed("%s: archive is cut", name)
	}
	return data, err
}

// section is a blob in the archive. It is an [io.ReaderAt] too.
type section struct{ *io.SectionReader }

func (section) Close() error { return nil }

// Fetch returns a part of the file, so the reader is an [io.ReaderAt] too.
func (a *archive) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !validDigest(desc.Digest) {
		return nil, malformed("malformed digest %q", desc.Digest)
	}
	if err := a.checkUnchanged(); err != nil {
		return nil, err
	}
	size, err := a.blobSize(desc.Digest)
	if err != nil {
		return nil, err
	}
	if size != desc.Size {
		return nil, malformed("%s: blob %s has %d bytes, not %d", a.path, desc.Digest, size, desc.Size)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return section{io.NewSectionReader(a.file, a.spans[blobPath(desc.Digest)].offset, size)}, nil
}

// checkUnchanged refuses an archive that is written anew in place: its blobs are no longer where they were found.
func (a *archive) checkUnchanged() error {
	if a.opened == nil {
		return nil
	}
	info, err := a.file.Stat()
	if err == nil && (info.Size() != a.opened.Size() || !info.ModTime().Equal(a.opened.ModTime())) {
		err = malformed("%s: it was changed since it was opened", a.path)
	}
	return err
}

func (a *archive) blobSize(d digest.Digest) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.spans[blobPath(d)]
	if !ok {
		return 0, notIn(a.path, d)
	}
	return s.size, nil
}

func (a *archive) place() string { return a.path }

// Exists hashes the blob the first time.
func (a *archive) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	rc, err := a.Fetch(ctx, desc)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDigest) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a.mu.Lock()
	proven := a.proven[desc.Digest]
	a.mu.Unlock()
	if proven {
		return true, nil
	}
	if _, err := copyBlob(ctx, io.Discard, rc, desc); err != nil {
		if errors.Is(err, ErrDigest) {
			err = nil
		}
		return false, err
	}
	a.mu.Lock()
	a.proven[desc.Digest] = true
	a.mu.Unlock()
	return true, nil
}

func (a *archive) Resolve(ctx context.Context, target string) (ocispec.Descriptor, error) {
	return a.index.resolve(ctx, a, target)
}

// Predecessors reads every manifest that index.json lists, once.
func (a *archive) Predecessors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	found, err := a.index.predecessors(ctx, a, desc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.path, err)
	}
	return found, nil
}

func (a *archive) Tags(context.Context) iter.Seq2[string, error] {
	return a.index.tags()
}

// errReadOnly is what an archive says to who would change it.
func errReadOnly(place string) error {
	return fmt.Errorf("%s: an archive is not changed: %w", place, errors.ErrUnsupported)
}

func (a *archive) Push(ctx context.Context, desc ocispec.Descriptor, r io.Reader) error {
	if a.writer == nil {
		return errReadOnly(a.path)
	}
	return a.writer.push(ctx, a, desc, r)
}

func (a *archive) Tag(ctx context.Context, desc ocispec.Descriptor, target string) error {
	if a.writer == nil {
		return errReadOnly(a.path)
	}
	return a.writer.tag(a, desc, target)
}

func (a *archive) Close() error {
	if a.writer == nil {
		return a.file.Close()
	}
	return a.writer.close(a)
}
