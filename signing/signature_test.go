package signing

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// foundSignatures reads all that is stored as a signature in a layout: the layers of every manifest that have one of
// the two media types.
func foundSignatures(t testing.TB, layout string) (payloads, bundles []*Signature) {
	t.Helper()
	blobs := filepath.Join(cosignData, filepath.FromSlash(layout), "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(blobs, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var m ocispec.Manifest
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		for _, l := range m.Layers {
			body, err := os.ReadFile(filepath.Join(blobs, l.Digest.Encoded()))
			if err != nil {
				t.Fatal(err)
			}
			switch l.MediaType {
			case MediaTypePayload:
				s, err := ParsePayload(body, l.Annotations[AnnotationSignature])
				if err != nil {
					t.Fatal(err)
				}
				payloads = append(payloads, s)
			case MediaTypeBundle:
				s, err := ParseBundle(body)
				if err != nil {
					t.Fatal(err)
				}
				bundles = append(bundles, s)
			}
		}
	}
	return payloads, bundles
}

// TestCosignSignatures holds that the signatures that cosign made are found right with their key and no other one, and
// that its attestations are none.
func TestCosignSignatures(t *testing.T) {
	const target = digest.Digest("sha256:a3863aee48eece3ee92adf73637b79111790f3484c2823a185f8c014b34801a6")
	for _, tt := range []struct {
		layout, key       string
		payloads, bundles int // that are right
	}{
		{"layouts/v2sig", "release.pub", 1, 0},
		{"layouts/v2sig", "other.pub", 0, 0},
		{"layouts/v3bundle", "release.pub", 0, 1}, // and two attestations
		{"layouts/all", "release.pub", 1, 1},      // and one
		{"layouts/twokeys", "release.pub", 1, 1},
		{"layouts/twokeys", "rotated.pub", 1, 1},
		{"layouts/twokeys", "imp-rsa2048.pub", 0, 0},
		{"layouts/wrongkey", "release.pub", 0, 0},
		{"layouts/unsigned", "release.pub", 0, 0},
	} {
		t.Run(tt.layout+" "+tt.key, func(t *testing.T) {
			key := mustVerifier(t, tt.key)
			count := func(list []*Signature) (right int) {
				for _, s := range list {
					st, err := s.Verify(key, target)
					if err == nil && st.Digest == target {
						right++
					} else if !errors.Is(err, ErrNoMatch) && !errors.Is(err, ErrMalformed) {
						t.Errorf("%v is neither ErrNoMatch nor ErrMalformed", err)
					}
				}
				return right
			}
			payloads, bundles := foundSignatures(t, tt.layout)
			if p, b := count(payloads), count(bundles); p != tt.payloads || b != tt.bundles {
				t.Errorf("%d payloads and %d sigstore bundles are right, want %d and %d", p, b, tt.payloads, tt.bundles)
			}
		})
	}
}

// TestRoundTrip holds that every kind of key signs both forms, that the claims come back, and that nothing is
// verified by another key or for another digest.
func TestRoundTrip(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	stranger := mustSigner(t, newKey(t, elliptic.P256())).Verifier()
	want := Statement{Digest: someDigest, Reference: "registry.example/app", Claims: map[string]string{"a": "1", "<b>": "é\n"}}
	for name, key := range map[string]crypto.PrivateKey{
		"P-256": newKey(t, elliptic.P256()), "P-384": newKey(t, elliptic.P384()), "P-521": newKey(t, elliptic.P521()),
		"RSA": rsaKey, "Ed25519": newEd25519(t),
	} {
		s := mustSigner(t, key)
		t.Run(name, func(t *testing.T) {
			for form, sig := range signBoth(t, s, want) {
				got, err := sig.Verify(s.Verifier(), someDigest)
				if err != nil || got.Digest != want.Digest || !maps.Equal(got.Claims, want.Claims) {
					t.Errorf("%s: Verify = %v, %v, want %v", form, got, err, want)
				}
				if _, err := sig.Verify(stranger, someDigest); !errors.Is(err, ErrNoMatch) {
					t.Errorf("%s, another key: %v, want ErrNoMatch", form, err)
				}
				if _, err := sig.Verify(s.Verifier(), digest.FromString("another")); !errors.Is(err, ErrMalformed) {
					t.Errorf("%s, another digest: %v, want ErrMalformed", form, err)
				}
			}
		})
	}
}

func signBoth(t testing.TB, s *Signer, st Statement) map[string]*Signature {
	t.Helper()
	data, text, err := s.SignPayload(st)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := ParsePayload(data, text)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = s.SignBundle(st); err != nil {
		t.Fatal(err)
	}
	bundle, err := ParseBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Signature{"payload": payload, "sigstore bundle": bundle}
}

// TestCosignAlgorithms holds that a signature is verified that was made as cosign makes it, though cosign's own verify
// does not.
func TestCosignAlgorithms(t *testing.T) {
	p384, p521, ed := newKey(t, elliptic.P384()), newKey(t, elliptic.P521()), newEd25519(t)
	for name, tt := range map[string]struct {
		key  crypto.Signer
		opts signature.LoadOption
	}{
		"P-384 with SHA-384": {p384, options.WithHash(crypto.SHA384)},
		"P-521 with SHA-512": {p521, options.WithHash(crypto.SHA512)},
		"Ed25519ph":          {ed, options.WithED25519ph()},
	} {
		t.Run(name, func(t *testing.T) {
			signer, err := signature.LoadSignerWithOpts(tt.key, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			message := []byte("message")
			sig, err := signer.SignMessage(bytes.NewReader(message))
			if err != nil {
				t.Fatal(err)
			}
			v, err := NewVerifier(tt.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if err := v.verify(message, sig); err != nil {
				t.Error(err)
			}
			if err := v.verify([]byte("massage"), sig); !errors.Is(err, ErrNoMatch) {
				t.Errorf("other message: %v, want ErrNoMatch", err)
			}
			// What cosign would not verify is not given away.
			if s, err := NewSigner(signer); err != nil {
				t.Error(err)
			} else if _, _, err := s.SignPayload(Statement{Digest: someDigest}); !errors.Is(err, ErrKey) {
				t.Errorf("sign: %v, want ErrKey", err)
			}
		})
	}
}

func TestTooMuchIsNotSigned(t *testing.T) {
	s := mustSigner(t, newKey(t, elliptic.P256()))
	st := Statement{Digest: someDigest, Claims: map[string]string{"a": strings.Repeat("x", maxBundle)}}
	if _, _, err := s.SignPayload(st); err == nil {
		t.Error("a payload was signed that nobody reads")
	}
	if _, err := s.SignBundle(st); err == nil {
		t.Error("a sigstore bundle was signed that nobody reads")
	}
}
