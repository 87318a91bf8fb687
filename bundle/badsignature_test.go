package bundle

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// forger puts into a store what nobody should have to read.
type forger struct {
	t     *testing.T
	store oci.Store
	index ocispec.Descriptor
	key   *signing.Signer // that is believed
}

func (f forger) put(docs ...document) {
	f.t.Helper()
	if err := pushDocuments(f.t.Context(), f.store, docs...); err != nil {
		f.t.Fatal(err)
	}
}

func (f forger) tag(desc ocispec.Descriptor, tag string) {
	f.t.Helper()
	if err := f.store.Tag(f.t.Context(), desc, tag); err != nil {
		f.t.Fatal(err)
	}
}

// sig gives the tag .sig to a manifest with these layers.
func (f forger) sig(layers ...ocispec.Descriptor) {
	f.t.Helper()
	f.manifest(ocispec.Manifest{Layers: layers}, oci.SignatureTag(f.index.Digest))
}

// refer makes a referrer with these layers.
func (f forger) refer(layers ...ocispec.Descriptor) {
	f.t.Helper()
	f.manifest(ocispec.Manifest{Layers: layers, Subject: &f.index}, "")
}

func (f forger) manifest(m ocispec.Manifest, tag string) {
	f.t.Helper()
	config := raw(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	m.Versioned, m.MediaType, m.Config = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest, config.desc
	doc, err := encodeDocument(m.MediaType, m)
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(config, doc)
	if tag == "" {
		tag = doc.desc.Digest.String()
	}
	f.tag(doc.desc, tag)
}

func (f forger) payload(st signing.Statement, key *signing.Signer) ocispec.Descriptor {
	f.t.Helper()
	data, sig, err := key.SignPayload(st)
	if err != nil {
		f.t.Fatal(err)
	}
	doc := raw(signing.MediaTypePayload, data)
	f.put(doc)
	doc.desc.Annotations = map[string]string{signing.AnnotationSignature: sig}
	return doc.desc
}

func (f forger) bundle(data string) ocispec.Descriptor {
	f.t.Helper()
	doc := raw(signing.MediaTypeBundle, []byte(data))
	f.put(doc)
	return doc.desc
}

// badSignatures are ways to harm, or to stand in for, a signature. Those that are a .sig leave only a sigstore bundle to
// be good, the others only a .sig.
var badSignatures = map[string]struct {
	isSig bool
	forge func(forger)
}{
	".sig that is garbage": {true, func(f forger) {
		garbage := raw(ocispec.MediaTypeImageManifest, []byte("{"))
		f.put(garbage)
		f.tag(garbage.desc, oci.SignatureTag(f.index.Digest))
	}},
	".sig that is an index": {true, func(f forger) { f.tag(f.index, oci.SignatureTag(f.index.Digest)) }},
	".sig without a layer":  {true, func(f forger) { f.sig() }},
	".sig of another digest": {true, func(f forger) {
		f.sig(f.payload(signing.Statement{Digest: raw("", []byte("x")).desc.Digest}, f.key))
	}},
	".sig by a stranger": {true, func(f forger) {
		f.sig(f.payload(signing.Statement{Digest: f.index.Digest}, testSigner(f.t)))
	}},
	".sig without the signature": {true, func(f forger) {
		l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
		l.Annotations = nil
		f.sig(l)
	}},
	".sig with half a signature": {true, func(f forger) {
		l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
		l.Annotations[signing.AnnotationSignature] = l.Annotations[signing.AnnotationSignature][:40]
		f.sig(l)
	}},
	".sig with a payload that is not there": {true, func(f forger) {
		l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
		l.Digest = raw("", []byte("missing")).desc.Digest
		f.sig(l)
	}},
	".sig with a payload of another size": {true, func(f forger) {
		l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
		l.Size++
		f.sig(l)
	}},
	".sig with a payload of more than all may have": {true, func(f forger) {
		l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
		l.Size = maxSignatureSum + 1
		f.sig(l)
	}},
	".sig with a digest that is a path": {true, func(f forger) {
		l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
		l.Digest = "sha256:../../../../etc/passwd"
		f.sig(l)
	}},
	".sig of 1,001 signatures": {true, func(f forger) {
		var layers []ocispec.Descriptor
		for i := range maxSignatures + 1 {
			l := f.payload(signing.Statement{Digest: f.index.Digest}, f.key)
			l.Annotations["n"] = fmt.Sprint(i)
			layers = append(layers, l)
		}
		f.sig(layers...)
	}},
	"sigstore bundle that is garbage":   {false, func(f forger) { f.refer(f.bundle("{}")) }},
	"sigstore bundle of 200 kB":         {false, func(f forger) { f.refer(f.bundle(strings.Repeat(" ", 200_000))) }},
	"sigstore bundle that is not there": {false, func(f forger) { f.refer(raw(signing.MediaTypeBundle, []byte("missing")).desc) }},
	"sigstore bundle of another digest": {false, func(f forger) {
		data, err := f.key.SignBundle(signing.Statement{Digest: raw("", []byte("x")).desc.Digest})
		if err != nil {
			f.t.Fatal(err)
		}
		f.refer(f.bundle(string(data)))
	}},
	"fallback tag that is garbage": {false, func(f forger) {
		garbage := raw(ocispec.MediaTypeImageIndex, []byte("{"))
		f.put(garbage)
		f.tag(garbage.desc, strings.TrimSuffix(oci.SignatureTag(f.index.Digest), ".sig"))
	}},
}

// TestBadFallbackTag holds the last for a registry without a referrers API, where anybody who may push can change the tag.
func TestBadFallbackTag(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref := oci.Reference{Transport: oci.TransportRegistry, Host: server.Listener.Addr().String(), Repository: "app", Tag: "v1"}
	from, index := packTest(t, captured(t), t.TempDir())
	s, err := oci.Create(t.Context(), ref, oci.Options{PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := oci.Copy(t.Context(), from, "v1", s, "v1", oci.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	key := testSigner(t)
	sign(t, s, "v1", key, SignOptions{Format: FormatSig})
	f := forger{t, s, index, key}
	wrong := `{"mediaType":"` + ocispec.MediaTypeImageManifest + `","digest":"` + index.Digest.String() + `","size":1}`
	for _, text := range []string{
		`{"schemaVersion":2,"manifests":[` + wrong + `]}`, `{"schemaVersion":2,"manifests":[` + strings.Repeat(wrong+",", maxSignatures) + wrong + `]}`,
		`{"schemaVersion":2,"manifests":[],"manifests":[],"config":{}}`, `{}`,
	} {
		garbage := raw(ocispec.MediaTypeImageIndex, []byte(text))
		f.put(garbage)
		f.tag(garbage.desc, strings.TrimSuffix(oci.SignatureTag(index.Digest), ".sig"))
		if _, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: trustIn(key)}); err != nil {
			t.Errorf("%.100s: %v", text, err)
		}
		if _, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: trustIn(testSigner(t))}); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%.100s, another key: %v, want ErrUntrusted", text, err)
		}
	}
}

// TestBadSignatures holds that none of them is taken for a signature, and none hides a good one.
func TestBadSignatures(t *testing.T) {
	for name, tt := range badSignatures {
		t.Run(name, func(t *testing.T) {
			key := testSigner(t)
			for _, good := range []bool{false, true} {
				s, index := packTest(t, captured(t), t.TempDir())
				index = ocispec.Descriptor{MediaType: index.MediaType, Digest: index.Digest, Size: index.Size}
				format := FormatSig
				if tt.isSig {
					format = FormatBundle
				}
				if good {
					sign(t, s, "v1", key, SignOptions{Format: format})
				}
				tt.forge(forger{t, s, index, key})
				_, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: trustIn(key)})
				if good && err != nil || !good && !errors.Is(err, ErrUntrusted) {
					t.Errorf("with a good one beside it, %v: Verify = %v", good, err)
				}
			}
		})
	}
}
