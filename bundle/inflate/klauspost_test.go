package inflate

import (
	"bytes"
	"io"
	"testing"

	"github.com/klauspost/compress/flate"
)

func BenchmarkKlauspost(b *testing.B) {
	r := flate.NewReader(nil)
	benchmark(b, func(dst, src []byte) error {
		r.(flate.Resetter).Reset(bytes.NewReader(src), nil)
		_, err := io.ReadFull(r, dst)
		return err
	})
}
