package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// archiveWriter writes an archive as one stream: oci-layout, the blobs in the order they are pushed, index.json.
// The same pushes in the same order make the same bytes. Nothing is stored twice: a blob is in its final place
// as soon as it is pushed, and can be fetched from there.
type archiveWriter struct {
	temp string

	mu      sync.Mutex // one Push at a time
	tar     *tar.Writer
	pending []referrer
	tagged  bool
	closed  bool
	err     error // of Close, or what makes the file unusable
}

func createArchive(path string) (*archive, error) {
	if err := checkReplaceable(path); err != nil {
		return nil, err
	}
	sweepArchives(path)
	temp := filepath.Join(filepath.Dir(path), archivePrefix(path)+rand.Text())
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, local(err)
	}
	tryLock(f) // tells others that this process lives
	a := &archive{
		path: path, file: f, index: newIndex(),
		spans: map[string]span{}, proven: map[digest.Digest]bool{},
		writer: &archiveWriter{temp: temp, tar: tar.NewWriter(f)},
	}
	if err := a.writer.add(a, layoutFile, int64(len(layoutVersion)), writeBytes([]byte(layoutVersion))); err != nil {
		a.Close()
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return a, nil
}

// checkReplaceable refuses what a file that is renamed to path would take the place of, unless it is a file itself.
// That goes for symbolic links too: the link would be lost, and what it points to would stay as it was.
func checkReplaceable(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().IsRegular() {
		return nil // what else is wrong shows when the file is made
	}
	return mark(ErrNotLayout, fmt.Errorf("%s is there and is not a regular file: it is not replaced by an archive", path))
}

func archivePrefix(path string) string { return "." + filepath.Base(path) + stagingPrefix }

// sweepArchives removes what killed processes left of the same archive.
func sweepArchives(path string) {
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range names {
		random, ok := strings.CutPrefix(e.Name(), archivePrefix(path))
		if !ok || !isRandom(random) || !e.Type().IsRegular() {
			continue
		}
		name := filepath.Join(filepath.Dir(path), e.Name())
		f, err := os.OpenFile(name, os.O_RDWR|openFlags, 0)
		if err != nil {
			continue
		}
		dead := tryLock(f) == nil
		f.Close()
		if dead {
			os.Remove(name)
		}
	}
}

func writeBytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// add appends a file. If that fails the archive is cut back to what it was.
func (w *archiveWriter) add(a *archive, name string, size int64, content func(io.Writer) error) error {
	start, err := a.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	err = w.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)})
	if err != nil {
		return local(err)
	}
	offset, err := a.file.Seek(0, io.SeekCurrent)
	if err == nil {
		err = content(w.tar)
	}
	if err == nil {
		err = w.tar.Flush() // pads
	}
	if err != nil {
		w.cut(a, start)
		return local(err)
	}
	a.mu.Lock()
	a.spans[name] = span{offset, size}
	a.mu.Unlock()
	return nil
}

func (w *archiveWriter) cut(a *archive, start int64) {
	w.err = a.file.Truncate(start)
	if w.err == nil {
		_, w.err = a.file.Seek(start, io.SeekStart)
	}
	w.tar = tar.NewWriter(a.file)
}

func (w *archiveWriter) push(ctx context.Context, a *archive, desc ocispec.Descriptor, r io.Reader) error {
	if !validDigest(desc.Digest) || desc.Size < 0 {
		return malformed("malformed descriptor %q of %d bytes", desc.Digest, desc.Size)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.err != nil {
		return fmt.Errorf("%s: %w", a.path, errors.Join(os.ErrClosed, w.err))
	}
	if isManifest(desc.MediaType) {
		data, err := readAll(ctx, r, desc)
		if err != nil {
			return err
		}
		if ref, ok := referrerOf(desc, data); ok {
			w.pending = append(w.pending, ref)
		}
		r = bytes.NewReader(data)
	}
	return w.pushLocked(ctx, a, desc, r)
}

func (w *archiveWriter) pushLocked(ctx context.Context, a *archive, desc ocispec.Descriptor, r io.Reader) error {
	if size, err := a.blobSize(desc.Digest); err == nil && size == desc.Size {
		return nil
	}
	err := w.add(a, blobPath(desc.Digest), desc.Size, func(dst io.Writer) error {
		_, err := copyBlob(ctx, dst, r, desc)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", a.path, err)
	}
	a.mu.Lock()
	a.proven[desc.Digest] = true
	a.mu.Unlock()
	return nil
}

func (w *archiveWriter) tag(a *archive, desc ocispec.Descriptor, target string) error {
	if target != string(desc.Digest) && !tagPattern.MatchString(target) {
		return mark(ErrUsage, fmt.Errorf("malformed tag %q", target))
	}
	if _, err := a.blobSize(desc.Digest); err != nil {
		return fmt.Errorf("tag %s: %w", target, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a.index.set(desc, target)
	w.tagged = true
	return nil
}

// close finishes the archive and gives it its name, if something is tagged.
func (w *archiveWriter) close(a *archive) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	w.closed = true
	err := w.err
	if err == nil && w.tagged {
		err = w.finish(a)
	}
	if closeErr := a.file.Close(); err == nil {
		err = closeErr
	}
	if err == nil && w.tagged {
		err = checkReplaceable(a.path)
	}
	if err == nil && w.tagged {
		err = os.Rename(w.temp, a.path)
	}
	if err != nil || !w.tagged {
		os.Remove(w.temp)
	}
	if err != nil {
		w.err = fmt.Errorf("write %s: %w", a.path, local(err))
		return w.err
	}
	if d, err := os.Open(filepath.Dir(a.path)); err == nil {
		d.Sync() // where the system can
		d.Close()
	}
	return nil
}

func (w *archiveWriter) finish(a *archive) error {
	ctx := context.Background() // what was tagged is finished
	err := a.index.addReferrers(ctx, a, w.pending, func(desc ocispec.Descriptor, data []byte) error {
		return w.pushLocked(ctx, a, desc, bytes.NewReader(data))
	})
	if err != nil {
		return err
	}
	data, err := a.index.bytes()
	if err != nil {
		return err
	}
	if err := w.add(a, indexFile, int64(len(data)), writeBytes(data)); err != nil {
		return err
	}
	if err := w.tar.Close(); err != nil {
		return err
	}
	return a.file.Sync()
}
