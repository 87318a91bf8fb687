package toolchain

import (
	"archive/zip"
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// utf8Names is the flag of a zip's file that says so.
const utf8Names = 0x800

// WriteZip gives a module zip back from a layer of n bytes: one with the same files, and so
// the same sum, not the same bytes. The deflate streams of the big files are copied without
// looking into them, small files are stored; so the layer must have been proven by [Walk].
// Written as a layer, the zip gives the same layer again.
func WriteZip(ctx context.Context, w io.Writer, layer io.ReaderAt, n int64, version string) error {
	if _, _, _, err := ParseVersion(version); err != nil {
		return err
	}
	m := &members{layer: layer, n: n, z: newInflater(), buf: make([]byte, chunkSize)}
	t := newTarReader(m)
	out := zip.NewWriter(bufio.NewWriterSize(w, outputSize)) // which it takes as its own
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := t.next()
		if err == io.EOF {
			return out.Close()
		}
		if err != nil {
			return fmt.Errorf("toolchain layer: %w", err)
		}
		h := zip.FileHeader{Name: zipPrefix(version) + f.zipName, Flags: utf8Names}
		h.SetMode(f.Mode)
		if err := m.copyFile(out, h, f.Size); err != nil {
			return fmt.Errorf("write %s: %w", f.zipName, err)
		}
	}
}

// Size is how many bytes a layer of n bytes says that it inflates to. It reads where its members begin and end, and proves
// nothing.
func Size(layer io.ReaderAt, n int64) (size int64, err error) {
	for m := (&members{layer: layer, n: n}); ; {
		body, _, inflated, err := m.next()
		if err == io.EOF {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
		m.off += headerSize + body.Size()
		size += inflated
	}
}

// members reads the tar of a layer, and can give a member without inflating it.
type members struct {
	layer io.ReaderAt
	n     int64 // size of layer
	off   int64 // of the next member
	z     *inflater
	open  bool  // z has a member
	left  int64 // bytes that z has still to give
	buf   []byte
}

// copyFile copies the next size bytes of the tar, which are a file.
func (m *members) copyFile(out *zip.Writer, h zip.FileHeader, size int64) error {
	deflated, err := m.whole(&h, size)
	if err != nil {
		return err
	}
	if deflated != nil {
		w, err := out.CreateRaw(&h)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(w, deflated, m.buf)
		return err
	}
	w, err := out.CreateHeader(&h) // whose method is Store
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(w, &exactReader{m, size}, m.buf)
	return err
}

// whole returns the deflate stream of the next member and completes h, if the next size bytes
// of the tar are this member. It returns nil if they are not.
func (m *members) whole(h *zip.FileHeader, size int64) (io.Reader, error) {
	if m.open && m.left == 0 {
		if n, err := m.z.Read(make([]byte, 1)); n > 0 || err != io.EOF {
			return nil, errors.Join(err, errors.New("gzip member is longer than its trailer says"))
		}
		m.open = false
	}
	if m.open || size < smallFile {
		return nil, nil
	}
	body, crc, inflated, err := m.next()
	if err != nil || inflated != size {
		return nil, err
	}
	m.off += headerSize + body.Size()
	h.Method = zip.Deflate
	h.CRC32 = crc
	h.CompressedSize64 = uint64(body.Size() - trailerSize)
	h.UncompressedSize64 = uint64(size)
	return io.LimitReader(body, body.Size()-trailerSize), nil
}

// next finds the next member: what is behind its header, and what its trailer says.
func (m *members) next() (body *io.SectionReader, crc uint32, inflated int64, err error) {
	if m.off == m.n {
		return nil, 0, 0, io.EOF
	}
	var b [headerSize]byte
	if _, err := m.layer.ReadAt(b[:], m.off); err != nil {
		return nil, 0, 0, noEOF(err)
	}
	size, err := parseHeader(b[:])
	if err != nil {
		return nil, 0, 0, fmt.Errorf("at byte %d: %w", m.off, err)
	}
	if size > m.n-m.off-headerSize {
		return nil, 0, 0, io.ErrUnexpectedEOF
	}
	body = io.NewSectionReader(m.layer, m.off+headerSize, size)
	end := b[:trailerSize]
	if _, err := body.ReadAt(end, size-trailerSize); err != nil && err != io.EOF {
		return nil, 0, 0, err
	}
	return body, binary.LittleEndian.Uint32(end), int64(binary.LittleEndian.Uint32(end[4:])), nil
}

func (m *members) Read(p []byte) (int, error) {
	if !m.open {
		body, _, inflated, err := m.next()
		if err != nil {
			return 0, err
		}
		if err := m.z.reset(body); err != nil {
			return 0, err
		}
		m.off += headerSize + body.Size()
		m.open, m.left = true, inflated
	}
	n, err := m.z.Read(p)
	m.left -= int64(n)
	if err == io.EOF {
		m.open, err = false, nil
	}
	return n, err
}
