package toolchain

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

const (
	headerSize  = 20
	trailerSize = 8
	maxMember   = 1<<32 - 1 // what four bytes can say
)

// magic is the header of every member up to its size: deflate with an extra field, no time,
// no operating system, eight bytes of extra, the field GF of four bytes.
const magic = "\x1f\x8b\x08\x04" + "\x00\x00\x00\x00" + "\x00\xff" + "\x08\x00" + "GF\x04\x00"

// header returns the header of a member whose deflate stream has n bytes.
func header(n int64) []byte {
	return binary.LittleEndian.AppendUint32([]byte(magic), uint32(n+headerSize+trailerSize))
}

// parseHeader returns the number of bytes that are behind the header, with the trailer.
func parseHeader(b []byte) (int64, error) {
	size := int64(binary.LittleEndian.Uint32(b[len(magic):]))
	if string(b[:len(magic)]) != magic || size <= headerSize+trailerSize {
		return 0, errors.New("not the header of a gzip member that goferry writes")
	}
	return size - headerSize, nil
}

// trailer returns the trailer of a member.
func trailer(crc uint32, size int64) []byte {
	b := binary.LittleEndian.AppendUint32(nil, crc)
	return binary.LittleEndian.AppendUint32(b, uint32(size))
}

// An inflater inflates one member after another, and checks them.
type inflater struct {
	body *bufio.Reader // deflate stream and trailer
	fl   io.ReadCloser
	crc  uint32
	size int64
}

func newInflater() *inflater {
	body := bufio.NewReaderSize(nil, chunkSize)
	return &inflater{body: body, fl: flate.NewReader(body)}
}

// reset begins with the member that has this behind its header.
func (z *inflater) reset(body io.Reader) error {
	z.body.Reset(body)
	z.crc, z.size = 0, 0
	return z.fl.(flate.Resetter).Reset(z.body, nil)
}

// Read returns io.EOF only if the member is right and body ends with it.
func (z *inflater) Read(p []byte) (int, error) {
	n, err := z.fl.Read(p)
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p[:n])
	z.size += int64(n)
	if err == io.EOF {
		if err := z.finish(); err != nil {
			return n, err
		}
	} else if err != nil {
		err = fmt.Errorf("inflate: %w", err)
	}
	return n, err
}

func (z *inflater) finish() error {
	var b [trailerSize]byte
	if _, err := io.ReadFull(z.body, b[:]); err != nil {
		return fmt.Errorf("gzip member is cut: %w", noEOF(err))
	}
	if _, err := z.body.ReadByte(); err != io.EOF {
		return errors.New("gzip member does not end where its header says")
	}
	if string(b[:]) != string(trailer(z.crc, z.size)) {
		return errors.New("gzip member has another CRC-32 or size than its trailer says")
	}
	if z.size == 0 {
		return errors.New("gzip member is empty")
	}
	return nil
}

// noEOF makes the end of the input an error where more has to come.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
