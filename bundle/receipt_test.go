package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

const goodReceipt = `{"mediaType":"application/vnd.goferry.receipt.v1+json","bundles":[{"digest":"sha256:` + zeros + `","name":"app","tag":"v1","sequence":7}],"blobs":{"sha256:` + zeros + `":12}}` + "\n"

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

var badReceipts = map[string]string{
	"nothing":         ``,
	"not JSON":        `package main`,
	"another kind":    `{"mediaType":"application/vnd.oci.image.index.v1+json","bundles":[],"blobs":{}}`,
	"no kind":         `{"blobs":{}}`,
	"path":            strings.Replace(goodReceipt, `"sha256:`+zeros+`":12`, `"../../etc/passwd":12`, 1),
	"other algorithm": strings.Replace(goodReceipt, `"sha256:`+zeros+`":12`, `"sha512:`+zeros+zeros+`":12`, 1),
	"negative size":   strings.Replace(goodReceipt, ":12}", ":-12}", 1),
	"fraction":        strings.Replace(goodReceipt, ":12}", ":1.5}", 1),
	"twice":           strings.Replace(goodReceipt, ":12}", `:12,"sha256:`+zeros+`":13}`, 1),
	"odd bundle":      strings.Replace(goodReceipt, `"digest":"sha256:`, `"digest":"sha256:x`, 1),
	"trailing":        goodReceipt + goodReceipt,
	"too large":       strings.Repeat(" ", MaxReceipt) + goodReceipt,
}

func TestParseReceipt(t *testing.T) {
	r, err := ParseReceipt([]byte(goodReceipt))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := r.Encode(); err != nil || string(data) != goodReceipt {
		t.Errorf("Encode() = %s, %v, want %s", data, err, goodReceipt)
	}
	for name, text := range badReceipts {
		if r, err := ParseReceipt([]byte(text)); !errors.Is(err, ErrMismatch) || r != nil {
			t.Errorf("%s: ParseReceipt() = %v, %v", name, r, err)
		}
	}
}

// TestEncodeReceipt holds that no receipt is written that nobody could read.
func TestEncodeReceipt(t *testing.T) {
	r := newReceipt()
	for i := range 100_000 {
		r.Blobs[digest.Digest(fmt.Sprintf("sha256:%064x", i))] = 1
	}
	if data, err := r.Encode(); err == nil {
		_, err := ParseReceipt(data)
		t.Errorf("Encode() of %d blobs = %d bytes, which are read as %v", len(r.Blobs), len(data), err)
	}
}

func FuzzParseReceipt(f *testing.F) {
	f.Add([]byte(goodReceipt))
	for _, text := range badReceipts {
		if len(text) < 1<<10 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		if err != nil {
			return
		}
		once, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseReceipt(once)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s\nis read and written as\n%s: %v", once, twice, err)
		}
	})
}
