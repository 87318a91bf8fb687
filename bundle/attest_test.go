package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

const reviewType = "https://example.com/review/v1"

func attest(t testing.TB, s oci.Store, key *signing.Signer, predicateType, predicate string) *Attested {
	t.Helper()
	attested, err := Attest(t.Context(), s, "v1", key, predicateType, []byte(predicate), signTime)
	if err != nil {
		t.Fatal(err)
	}
	return attested
}

func asking(trust *Trust, types ...string) *Trust {
	trust.Attestations = types
	return trust
}

// TestAttest holds who is asked for what: each type by a key of the rule, beside the signature.
func TestAttest(t *testing.T) {
	s, index := packTest(t, captured(t), t.TempDir())
	a, b := testSigner(t), testSigner(t)
	if _, err := Attest(t.Context(), s, "v1", a, reviewType, []byte("{}"), signTime); !errors.Is(err, ErrHidden) {
		t.Errorf("Attest of what is not signed: %v, want ErrHidden", err)
	}
	sign(t, s, "v1", a, SignOptions{})
	for _, tt := range []struct {
		key                      *signing.Signer
		predicateType, predicate string
		added                    bool
	}{
		{a, reviewType, `{"n": 1}`, true}, {a, reviewType, `{"n":1}`, false}, {a, reviewType, `{"n":2}`, true},
		{b, reviewType, `{"n":1}`, true}, {b, PredicateCycloneDX, `{"n":1}`, true},
	} {
		if got := attest(t, s, tt.key, tt.predicateType, tt.predicate); got.Added != tt.added || got.Digest != index.Digest {
			t.Errorf("Attest %s %s = %+v, want added = %v", tt.predicateType, tt.predicate, got, tt.added)
		}
	}
	ended := &Rule{Keys: []TrustedKey{{"a", signTime.Add(time.Hour), a.Verifier()}, {"b", signTime.Add(-time.Hour), b.Verifier()}}}
	for _, tt := range []struct {
		name  string
		trust *Trust
		found []string // names of keys; nil where it is refused
	}{
		{"one key", asking(trustIn(a), reviewType), []string{"a", "a"}},
		{"two keys", asking(trustIn(a, b), reviewType), []string{"a", "a", "b"}},
		{"two types", asking(trustIn(a, b), reviewType, PredicateCycloneDX), []string{"a", "a", "b", "b"}},
		{"another key's", asking(trustIn(a), PredicateCycloneDX), nil},
		{"a type that nobody made", asking(trustIn(a, b), "https://example.com/review"), nil},
		{"the type of signatures", asking(trustIn(a), signing.PredicateType), nil},
		{"no signature by the key", asking(trustIn(b), reviewType), nil},
		{"a key that ended", asking(&Trust{Rules: []Rule{*ended}, Now: signTime}, PredicateCycloneDX), nil},
		{"a rule of two", asking(&Trust{Rules: []Rule{trustIn(b).Rules[0], trustIn(a).Rules[0]}}, reviewType), []string{"a", "a"}},
		{"keys of two rules", asking(&Trust{Rules: []Rule{trustIn(b).Rules[0], trustIn(a).Rules[0]}}, PredicateCycloneDX), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: tt.trust})
			if tt.found == nil {
				if !errors.Is(err, ErrUntrusted) {
					t.Errorf("Verify: %v, want ErrUntrusted", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var found []string
			for _, a := range v.Attestations {
				found = append(found, a.Key)
			}
			if slices.Sort(found); !slices.Equal(found, tt.found) {
				t.Errorf("attested by %v, want %v", found, tt.found)
			}
		})
	}
}

// attached makes a referrer whose manifest says that it is of the type.
func (f forger) attached(data []byte, declared string) {
	f.t.Helper()
	f.declared(f.bundle(string(data)), declared)
}

func (f forger) declared(l ocispec.Descriptor, declared string) {
	f.t.Helper()
	m := ocispec.Manifest{Layers: []ocispec.Descriptor{l}, Subject: &f.index}
	if declared != "" {
		m.Annotations = map[string]string{annotationPredicateType: declared}
	}
	f.manifest(m, "")
}

func (f forger) attestation(key *signing.Signer, d ocispec.Descriptor, predicateType, predicate string) []byte {
	f.t.Helper()
	data, err := key.SignAttestation(d.Digest, predicateType, []byte(predicate))
	if err != nil {
		f.t.Fatal(err)
	}
	return data
}

func (f forger) signature() []byte {
	f.t.Helper()
	data, err := f.key.SignBundle(signing.Statement{Digest: f.index.Digest})
	if err != nil {
		f.t.Fatal(err)
	}
	return data
}

// badAttestations are ways to harm, or to stand in for, an attestation of the type reviewType.
var badAttestations = map[string]func(forger){
	"garbage":                func(f forger) { f.attached([]byte("{}"), reviewType) },
	"garbage of no type":     func(f forger) { f.attached([]byte("{"), "") },
	"larger than any":        func(f forger) { f.attached(make([]byte, signing.MaxAttestation+1), reviewType) },
	"large, for a signature": func(f forger) { f.attached(make([]byte, signing.MaxAttestation), signing.PredicateType) },
	"not there":              func(f forger) { f.declared(raw(signing.MediaTypeBundle, []byte("missing")).desc, reviewType) },
	"a digest that is a path": func(f forger) {
		f.declared(ocispec.Descriptor{MediaType: signing.MediaTypeBundle, Digest: "sha256:../../etc/passwd"}, reviewType)
	},
	"by a stranger": func(f forger) { f.attached(f.attestation(testSigner(f.t), f.index, reviewType, "{}"), reviewType) },
	"large and by a stranger": func(f forger) {
		f.attached(f.attestation(testSigner(f.t), f.index, reviewType, `"`+strings.Repeat("x", 4<<20)+`"`), reviewType)
	},
	"of another type": func(f forger) {
		f.attached(f.attestation(f.key, f.index, PredicateCycloneDX, "{}"), PredicateCycloneDX)
	},
	"of another type than said": func(f forger) { f.attached(f.attestation(f.key, f.index, PredicateCycloneDX, "{}"), reviewType) },
	"of another digest": func(f forger) {
		f.attached(f.attestation(f.key, raw("", []byte("x")).desc, reviewType, "{}"), reviewType)
	},
	"a signature":              func(f forger) { f.attached(f.signature(), signing.PredicateType) },
	"a signature for its type": func(f forger) { f.attached(f.signature(), reviewType) },
	"a signature of no type":   func(f forger) { f.attached(f.signature(), "") },
	".att that is garbage": func(f forger) {
		d := raw(ocispec.MediaTypeImageManifest, []byte("{"))
		f.put(d)
		f.tag(d.desc, oci.AttestationTag(f.index.Digest))
	},
	".att that is an index":      func(f forger) { f.tag(f.index, oci.AttestationTag(f.index.Digest)) },
	".att with a bundle in it":   func(f forger) { f.att(f.attestation(f.key, f.index, reviewType, "{}")) },
	".att that is no envelope":   func(f forger) { f.att([]byte("[]")) },
	"a thousand that are nobody": func(f forger) { f.refer(slices.Repeat([]ocispec.Descriptor{f.bundle("{}")}, maxSignatures)...) },
}

// att gives the tag .att to a manifest with an envelope.
func (f forger) att(data []byte) {
	f.t.Helper()
	doc := raw(signing.MediaTypeEnvelope, data)
	f.put(doc)
	f.manifest(ocispec.Manifest{Layers: []ocispec.Descriptor{doc.desc}}, oci.AttestationTag(f.index.Digest))
}

// TestBadAttestations holds that none of them is taken for an attestation, none hides a good one, and none keeps anybody
// from verifying a signature.
func TestBadAttestations(t *testing.T) {
	for name, forge := range badAttestations {
		t.Run(name, func(t *testing.T) {
			s, index := packTest(t, captured(t), t.TempDir())
			index = ocispec.Descriptor{MediaType: index.MediaType, Digest: index.Digest, Size: index.Size}
			key := testSigner(t)
			sign(t, s, "v1", key, SignOptions{})
			forge(forger{t, s, index, key})
			trusted(t, s, "v1", trustIn(key))
			if _, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: asking(trustIn(key), reviewType)}); !errors.Is(err, ErrUntrusted) {
				t.Errorf("Verify = %v, want ErrUntrusted", err)
			}
			attest(t, s, key, reviewType, `{"good":1}`)
			v, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: asking(trustIn(key), reviewType)})
			if err != nil || len(v.Attestations) != 1 || string(v.Attestations[0].Predicate) != `{"good":1}` {
				t.Errorf("with a good one beside it: %v, %v", v, err)
			}
		})
	}
}

// TestAttestationIsNoSignature holds it for an attestation by the very key that is asked for, whatever its manifest says.
func TestAttestationIsNoSignature(t *testing.T) {
	for _, declared := range []string{reviewType, signing.PredicateType, ""} {
		s, index := packTest(t, captured(t), t.TempDir())
		key := testSigner(t)
		f := forger{t, s, ocispec.Descriptor{MediaType: index.MediaType, Digest: index.Digest, Size: index.Size}, key}
		f.attached(f.attestation(key, index, reviewType, "{}"), declared)
		for _, trust := range []*Trust{trustIn(key), asking(trustIn(key), reviewType)} {
			if _, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: trust}); !errors.Is(err, ErrUntrusted) {
				t.Errorf("said to be %q: %v, want ErrUntrusted", declared, err)
			}
		}
		if _, err := Attest(t.Context(), s, "v1", key, reviewType, []byte(`{"n":1}`), signTime); !errors.Is(err, ErrHidden) {
			t.Errorf("Attest beside it: %v, want ErrHidden", err)
		}
	}
}

// TestCosignAttestations holds how the attestations are judged that cosign made, in each of its forms.
func TestCosignAttestations(t *testing.T) {
	for _, tt := range []struct {
		layout string
		types  []string
	}{
		{"layouts/v2sig", []string{PredicateProvenance}},
		{"layouts/v3bundle", []string{PredicateProvenance, PredicateCycloneDX}},
		{"layouts/all", []string{PredicateProvenance}},
		{"layouts/twokeys", nil},
		{"tampered/31-bundle-wrong-key", nil},
		{"tampered/33-bundle-attestation-only", nil},
	} {
		for _, predicateType := range []string{PredicateProvenance, PredicateCycloneDX, reviewType} {
			trust := &Trust{Rules: []Rule{{Keys: []TrustedKey{cosignKey(t, "release.pub")}}}, Attestations: []string{predicateType}}
			r, err := VerifyArtifact(t.Context(), openCosign(t, tt.layout), "v1", trust, nil)
			if want := slices.Contains(tt.types, predicateType); want != (err == nil) || err != nil && !errors.Is(err, ErrUntrusted) {
				t.Errorf("%s, %s: %v, want accepted = %v", tt.layout, predicateType, err, want)
			} else if want && !strings.HasPrefix(string(r.Attestations[0].Predicate), "{") {
				t.Errorf("%s, %s: it says %q", tt.layout, predicateType, r.Attestations[0].Predicate)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(cosignData, "tampered"))
	if err != nil || len(entries) == 0 {
		t.Fatal(err)
	}
	for _, e := range entries {
		trust := &Trust{Rules: []Rule{{Keys: []TrustedKey{cosignKey(t, "other.pub")}}}, Attestations: []string{PredicateProvenance}}
		if _, err := VerifyArtifact(t.Context(), openCosign(t, "tampered/"+e.Name()), "v1", trust, nil); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s, another key: %v, want ErrUntrusted", e.Name(), err)
		}
	}
}
