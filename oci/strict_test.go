package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const goodIndex = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[` +
	`{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:` + hex64 + `","size":7,` +
	`"platform":{"os":"linux","architecture":"amd64"},"annotations":{"a":"1","A":"2"}}],"x-unknown":{"b":[null,1e3,{}]}}`

func TestDecodeStrict(t *testing.T) {
	for name, tt := range map[string]struct {
		json string
		ok   bool
	}{
		"plain":                      {goodIndex, true},
		"space around":               {" \n" + goodIndex + "\t\n", true},
		"empty":                      {``, false},
		"cut":                        {goodIndex[:len(goodIndex)-1], false},
		"second value":               {goodIndex + `{}`, false},
		"bytes behind":               {goodIndex + "\x00", false},
		"byte order mark":            {"\ufeff" + goodIndex, false},
		"key twice":                  {`{"schemaVersion":2,"schemaVersion":1}`, false},
		"key twice, escaped":         {`{"schemaVersion":2,"schema\u0056ersion":1}`, false},
		"known key in another case":  {`{"Manifests":[]}`, false},
		"deep key in another case":   {`{"manifests":[{"Digest":"x"}]}`, false},
		"deeper":                     {`{"manifests":[{"platform":{"OS":"x"}}]}`, false},
		"keys that differ in case":   {`{"unknown":1,"Unknown":2}`, false},
		"annotation twice":           {`{"annotations":{"a":"1","a":"2"}}`, false},
		"known key, folded by Go":    {`{"manifests":[{"\u017fize":1}]}`, false},
		"keys that fold, by Go":      {`{"manifests":[{"size":1,"ſize":2}]}`, false},
		"values to the limit":        {`{"x":[` + strings.Repeat("1,", maxValues-3) + `1]}`, true},
		"more values":                {`{"x":[` + strings.Repeat("1,", maxValues-2) + `1]}`, false},
		"not UTF-8":                  {"{\"x\":\"\xff\"}", false},
		"wrong type":                 {`{"schemaVersion":"2"}`, false},
		"size is not whole":          {`{"manifests":[{"size":1.5}]}`, false},
		"size is too large":          {`{"manifests":[{"size":9223372036854775808}]}`, false},
		"nested to the limit":        {`{"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`, true},
		"nested deeper":              {`{"x":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, false},
		"nested much deeper and cut": {strings.Repeat(`{"x":`, 100_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			var ix ocispec.Index
			err := DecodeStrict([]byte(tt.json), &ix)
			if (err == nil) != tt.ok {
				t.Errorf("DecodeStrict = %v, want ok %v", err, tt.ok)
			}
			if err != nil && !errors.Is(err, ErrDigest) {
				t.Errorf("error %v is not ErrDigest", err)
			}
		})
	}
}

// TestFatDocumentsCostLittle holds that what is small as JSON and large in memory is refused before it is.
func TestFatDocumentsCostLittle(t *testing.T) {
	for name, doc := range map[string]string{
		"empty entries": `{"schemaVersion":2,"manifests":[` + strings.Repeat("{},", maxIndex/3-20) + `{}]}`,
		"most entries":  `{"schemaVersion":2,"manifests":[` + strings.Repeat("{},", maxValues-10) + `{}]}`,
		"keys":          `{"annotations":{` + manyKeys(maxIndex-100) + `"":""}}`,
		"objects":       strings.Repeat(`{"a":`, maxIndex/5-1),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		parseIndex([]byte(doc))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 100<<20 {
			t.Errorf("%s: %d MiB were allocated", name, got>>20)
		}
	}
}

func manyKeys(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `"%x":"",`, i)
	}
	return b.String()
}

func TestParseDocumentRefuses(t *testing.T) {
	const config = `{"mediaType":"c","digest":"sha256:` + hex64 + `","size":1}`
	for name, tt := range map[string]struct{ mediaType, json string }{
		"index with layers":          {ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[],"layers":[]}`},
		"index with a config":        {ocispec.MediaTypeImageIndex, `{"schemaVersion":2,"manifests":[],"config":` + config + `}`},
		"manifest with manifests":    {ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"config":` + config + `,"manifests":[]}`},
		"manifest without a config":  {ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"layers":[]}`},
		"index under another name":   {ocispec.MediaTypeImageManifest, goodIndex},
		"other version":              {ocispec.MediaTypeImageIndex, `{"schemaVersion":1,"manifests":[]}`},
		"digest that is a path":      {ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"digest":"sha256:../../etc/passwd"}}`},
		"digest of another kind":     {ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"digest":"sha512:` + hex64 + hex64 + `"}}`},
		"negative size":              {ocispec.MediaTypeImageManifest, `{"schemaVersion":2,"config":{"digest":"sha256:` + hex64 + `","size":-1}}`},
		"null in place of the index": {ocispec.MediaTypeImageIndex, `null`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseDocument(ocispec.Descriptor{MediaType: tt.mediaType}, []byte(tt.json)); !errors.Is(err, ErrDigest) {
				t.Errorf("parseDocument = %v, want ErrDigest", err)
			}
		})
	}
}

func FuzzDecodeStrict(f *testing.F) {
	for _, s := range []string{goodIndex, `{"a":1,"A":2}`, `[]`, `null`, `"x"`, `{"manifests":{"digest":1}}`, `{"manifests":[[{"Digest":1}]]}`, `{"annotations":{"a":null}}`, strings.Repeat("[", 100)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var ix ocispec.Index
		if err := DecodeStrict(data, &ix); err != nil {
			if !errors.Is(err, ErrDigest) {
				t.Errorf("error %v is not ErrDigest", err)
			}
			return
		}
		again, err := json.Marshal(ix)
		if err != nil {
			t.Fatal(err)
		}
		if err := DecodeStrict(again, &ix); err != nil && ix.MediaType != "" {
			t.Errorf("what was accepted is refused when written again: %v", err)
		}
	})
}
