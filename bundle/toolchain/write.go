package toolchain

import (
	"archive/zip"
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	smallFile  = 4 << 10
	outputSize = 256 << 10
)

// Transcode writes the layer of a module zip of n bytes to w; version is the module's. It proves
// nothing: only the small files are inflated and checked. [Walk] proves what it wrote. What w got
// before an error is worthless.
func Transcode(ctx context.Context, w io.Writer, zip io.ReaderAt, n int64, version string) error {
	files, err := zipFiles(zip, n, version)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, outputSize)
	between := &run{w: out}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.write(out, between); err != nil {
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	between.Write(zeros[:])
	if err := between.flush(); err != nil {
		return err
	}
	return out.Flush()
}

// A zipFile is a file of the module zip with its name in the layer.
type zipFile struct {
	File
	zip *zip.File
}

// zipFiles returns the files of the module zip in the order of the layer.
func zipFiles(r io.ReaderAt, n int64, version string) ([]zipFile, error) {
	if _, _, _, err := ParseVersion(version); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(r, n)
	if err != nil {
		return nil, fmt.Errorf("read toolchain zip: %w", err)
	}
	prefix := zipPrefix(version)
	files := make([]zipFile, len(z.File))
	for i, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok || !f.Mode().IsRegular() || f.UncompressedSize64 > maxBytes {
			return nil, fmt.Errorf("toolchain zip: %q is not a file below %s", f.Name, prefix)
		}
		if name, err = layerName(name); err != nil {
			return nil, fmt.Errorf("toolchain zip: %w", err)
		}
		files[i] = zipFile{File{name, Mode(name), int64(f.UncompressedSize64)}, f}
	}
	slices.SortFunc(files, func(a, b zipFile) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}

// write writes one file: into between, or between the members that between makes.
func (f zipFile) write(out *bufio.Writer, between *run) error {
	h, err := tarHeader(f.File)
	if err != nil {
		return err
	}
	between.Write(h)
	if f.zip.Method == zip.Deflate && f.Size >= smallFile {
		if err := between.flush(); err != nil {
			return err
		}
		err = f.writeMember(out)
	} else {
		err = f.inflate(between)
	}
	if err != nil {
		return err
	}
	_, err = between.Write(zeros[:padding(f.Size)])
	return err
}

// writeMember copies the deflate stream.
func (f zipFile) writeMember(out *bufio.Writer) error {
	raw, err := f.zip.OpenRaw()
	if err != nil {
		return err
	}
	n := int64(f.zip.CompressedSize64)
	if n > maxMember-headerSize-trailerSize {
		return errors.New("compressed file is too big")
	}
	out.Write(header(n)) // a bufio.Writer keeps its error
	if m, err := io.Copy(out, raw); err != nil || m != n {
		return cmp.Or(err, io.ErrUnexpectedEOF)
	}
	_, err = out.Write(trailer(f.zip.CRC32, f.Size))
	return err
}

// inflate writes the content, which zip.File checks at its end.
func (f zipFile) inflate(w io.Writer) error {
	content, err := f.zip.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	if n, err := io.Copy(w, io.LimitReader(content, f.Size+1)); err != nil || n != f.Size {
		return cmp.Or(err, errors.New("file has another size than the zip says"))
	}
	return nil
}
