package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

const (
	maxDocument = 4 << 20 // bytes of a manifest or an index; registries stop there too
	maxDepth    = 64      // of JSON

	// maxValues bounds the memory of a document: a value takes two bytes of JSON and a hundred when it is decoded.
	// An entry of an index is seven values or so, which makes 14,000 entries.
	maxValues = 100_000
)

// FetchDocument reads the JSON document that desc names into v, and returns its bytes. The document is at most
// 4 MiB, its digest is checked before it is parsed, and it must mean the same to every reader; see [DecodeStrict].
func FetchDocument(ctx context.Context, s content.Fetcher, desc ocispec.Descriptor, v any) ([]byte, error) {
	data, err := fetchBytes(ctx, s, desc)
	if err != nil {
		return nil, err
	}
	if err := DecodeStrict(data, v); err != nil {
		return nil, fmt.Errorf("%s: %w", desc.Digest, err)
	}
	return data, nil
}

func fetchBytes(ctx context.Context, s content.Fetcher, desc ocispec.Descriptor) ([]byte, error) {
	return FetchBytes(ctx, s, desc, maxDocument)
}

// FetchBytes returns a small blob, whose size may be up to limit, when its digest is found right.
func FetchBytes(ctx context.Context, s content.Fetcher, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	if !validDigest(desc.Digest) {
		return nil, malformed("malformed digest %q", desc.Digest)
	}
	if desc.Size < 0 || desc.Size > limit {
		return nil, malformed("%s: a document of %d bytes, at most %d are read", desc.Digest, desc.Size, limit)
	}
	rc, err := s.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, desc.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", desc.Digest, err)
	}
	return data, verifyBytes(data, desc)
}

func verifyBytes(data []byte, desc ocispec.Descriptor) error {
	if int64(len(data)) != desc.Size {
		return malformed("%s: size is not %d", desc.Digest, desc.Size)
	}
	if got := digest.FromBytes(data); got != desc.Digest {
		return malformed("%s: content has digest %s", desc.Digest, got)
	}
	return nil
}

// DecodeStrict is json.Unmarshal for foreign bytes. It refuses what two readers may understand in two ways:
// text that is not UTF-8, a key twice in one object, a key that differs from a known one only in case (which
// encoding/json takes for it, and others do not), more than one value; and what would take more time and memory
// than a document is worth: nesting over 64, more than 100,000 values. Unknown keys are allowed.
func DecodeStrict(data []byte, v any) error {
	if err := checkStrict(data, reflect.TypeOf(v)); err != nil {
		return err
	}
	return mark(ErrDigest, json.Unmarshal(data, v))
}

// checkStrict is DecodeStrict without the decoding, as t or, if that is nil, as what nobody knows the keys of.
func checkStrict(data []byte, t reflect.Type) error {
	if !utf8.Valid(data) {
		return malformed("not UTF-8")
	}
	c := &checker{dec: json.NewDecoder(bytes.NewReader(data))}
	c.dec.UseNumber()
	if err := c.value(t, 0); err != nil {
		return mark(ErrDigest, err)
	}
	if _, err := c.dec.Token(); err != io.EOF {
		return malformed("data behind the JSON value")
	}
	return nil
}

type checker struct {
	dec    *json.Decoder
	values int
}

// value checks the next value, which will be decoded as t (nil if unknown).
func (c *checker) value(t reflect.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("JSON is nested deeper than %d", maxDepth)
	}
	if c.values++; c.values > maxValues {
		return fmt.Errorf("JSON has more than %d values", maxValues)
	}
	token, err := c.dec.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	t = plainType(t)
	switch token {
	case json.Delim('{'):
		return c.object(t, depth)
	case json.Delim('['):
		return c.array(t, depth)
	}
	return nil
}

func (c *checker) array(t reflect.Type, depth int) error {
	if t != nil && t.Kind() == reflect.Slice {
		t = t.Elem()
	} else {
		t = nil
	}
	for c.dec.More() {
		if err := c.value(t, depth+1); err != nil {
			return err
		}
	}
	_, err := c.dec.Token()
	return err
}

func (c *checker) object(t reflect.Type, depth int) error {
	isMap := t != nil && t.Kind() == reflect.Map
	fields := fieldsOf(t)
	var seen map[string]bool
	for c.dec.More() {
		token, err := c.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		// Annotations and labels are free to have keys that differ in case.
		folded := key
		if !isMap {
			folded = fold(key)
		}
		if seen == nil {
			seen = map[string]bool{}
		}
		if seen[folded] {
			return fmt.Errorf("JSON key %q is there twice", key)
		}
		seen[folded] = true
		f, known := fields[folded]
		if known && f.name != key {
			return fmt.Errorf("JSON key %q should be %q", key, f.name)
		}
		next := f.typ
		if isMap {
			next = t.Elem()
		}
		if err := c.value(next, depth+1); err != nil {
			return err
		}
	}
	_, err := c.dec.Token()
	return err
}

// fold returns the same for all keys that encoding/json takes for each other: in it "ſize" is "size".
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next // it turned around: the smallest of its kind
			}
			r = next
		}
	}, key)
}

type field struct {
	name string
	typ  reflect.Type
}

// knownFields has what fieldsOf found, by [reflect.Type].
var knownFields sync.Map

// fieldsOf maps the folded JSON names of a struct, and of those embedded in it, to its fields.
func fieldsOf(t reflect.Type) map[string]field {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	if fields, ok := knownFields.Load(t); ok {
		return fields.(map[string]field)
	}
	fields := map[string]field{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || f.Anonymous && name == "" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		fields[fold(name)] = field{name, f.Type}
	}
	knownFields.Store(t, fields)
	return fields
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// plainType strips pointers. What decodes itself, or is not known, is nil.
func plainType(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(unmarshaler) {
		return nil
	}
	return t
}
