package bundle

import (
	"encoding/json"
	"errors"
	"maps"
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

const cosignData = "../signing/testdata/cosign"

var signTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func testSigner(t testing.TB) *signing.Signer {
	t.Helper()
	private, _, err := signing.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signing.ParseSigner(private, func() ([]byte, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func trustIn(signers ...*signing.Signer) *Trust {
	var r Rule
	for i, s := range signers {
		r.Keys = append(r.Keys, TrustedKey{Name: string(rune('a' + i)), Verifier: s.Verifier()})
	}
	return &Trust{Rules: []Rule{r}}
}

func sign(t testing.TB, s oci.Store, target string, key *signing.Signer, opts SignOptions) *Signed {
	t.Helper()
	if opts.Time.IsZero() {
		opts.Time = signTime
	}
	signed, err := Sign(t.Context(), s, target, key, opts)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func trusted(t testing.TB, s oci.Store, target string, trust *Trust) []Signature {
	t.Helper()
	v, err := Verify(t.Context(), s, target, VerifyOptions{Trust: trust})
	if err != nil {
		t.Fatal(err)
	}
	return v.Signatures
}

// TestSign holds that the index and every manifest are signed in both forms, that the claims say what the bundle is,
// that signing again adds nothing, and that a second key loses nothing of the first.
func TestSign(t *testing.T) {
	s, index := packTest(t, captured(t), t.TempDir())
	first, second := testSigner(t), testSigner(t)
	signed := sign(t, s, "v1", first, SignOptions{Claims: map[string]string{"team": "a"}})
	if signed.Digest != index.Digest || signed.Manifests != 2 || signed.Added != 6 {
		t.Errorf("Sign = %+v, want 6 signatures of %s and 2 manifests", signed, index.Digest)
	}
	want := map[string]string{
		ClaimName: "example.com/main", ClaimTag: "v1", ClaimSequence: "20261121120000", ClaimPlatforms: "linux/amd64,linux/arm64", "team": "a",
	}
	found := trusted(t, s, "v1", trustIn(first))
	if len(found) != 2 || found[0].Format != FormatSig || found[1].Format != FormatBundle {
		t.Fatalf("found %+v, want a signature in each form", found)
	}
	for _, f := range found {
		if !maps.Equal(f.Claims, want) || f.Key != "a" || f.KeyID != first.Verifier().ID() {
			t.Errorf("signature says %+v, want the claims %v", f, want)
		}
	}
	again := sign(t, s, "v1", first, SignOptions{Claims: map[string]string{"team": "a"}, Time: signTime.Add(time.Hour)})
	if again.Added != 0 || again.Claims[ClaimSequence] != want[ClaimSequence] {
		t.Errorf("signing again: %+v, want nothing added", again)
	}
	if added := sign(t, s, "v1", second, SignOptions{}).Added; added != 6 {
		t.Errorf("the second key added %d signatures, want 6", added)
	}
	if found := trusted(t, s, "v1", trustIn(first, second)); len(found) != 4 {
		t.Errorf("found %+v, want two signatures of each key", found)
	}
	child := manifestsOf(t, s, index)[0]
	if _, err := VerifyArtifact(t.Context(), s, child.Digest.String(), trustIn(first), nil); err != nil {
		t.Errorf("a child by its digest: %v", err)
	}
}

// TestSignOtherClaims holds that the same key may say something else of the same bundle, and numbers of the user's count.
func TestSignOtherClaims(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	key := testSigner(t)
	sign(t, s, "v1", key, SignOptions{})
	for _, claims := range []map[string]string{{"a": "b"}, {ClaimSequence: "7"}, {ClaimSequence: "8"}} {
		if added := sign(t, s, "v1", key, SignOptions{Claims: claims}).Added; added != 6 {
			t.Errorf("%v: added %d signatures, want 6", claims, added)
		}
	}
	if _, err := Sign(t.Context(), s, "v1", key, SignOptions{Claims: map[string]string{ClaimSequence: "seven"}}); err == nil {
		t.Error("a sequence that is no number was signed")
	}
}

// TestSignFormats holds that cosign always finds what is signed: it looks at nothing but sigstore bundles where there
// is one.
func TestSignFormats(t *testing.T) {
	first, second := testSigner(t), testSigner(t)
	for _, tt := range []struct {
		name    string
		formats []SignatureFormat // by the first key, then by the second
		added   int               // by the second
		err     error
	}{
		{"sig, sig", []SignatureFormat{FormatSig, FormatSig}, 3, nil},
		{"bundle, bundle", []SignatureFormat{FormatBundle, FormatBundle}, 3, nil},
		{"both, both", []SignatureFormat{FormatBoth, FormatBoth}, 6, nil},
		{"bundle, both", []SignatureFormat{FormatBundle, FormatBoth}, 6, nil},
		{"sig, default", []SignatureFormat{FormatSig, ""}, 3, nil},
		{"bundle, default", []SignatureFormat{FormatBundle, ""}, 6, nil},
		{"sig, both", []SignatureFormat{FormatSig, FormatBoth}, 0, ErrHidden},
		{"sig, bundle", []SignatureFormat{FormatSig, FormatBundle}, 0, ErrHidden},
		{"bundle, sig", []SignatureFormat{FormatBundle, FormatSig}, 0, ErrHidden},
		{"both, sig", []SignatureFormat{FormatBoth, FormatSig}, 0, ErrHidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := packTest(t, captured(t), t.TempDir())
			sign(t, s, "v1", first, SignOptions{Format: tt.formats[0]})
			signed, err := Sign(t.Context(), s, "v1", second, SignOptions{Format: tt.formats[1], Time: signTime})
			if !errors.Is(err, tt.err) || err == nil && signed.Added != tt.added {
				t.Fatalf("Sign = %+v, %v, want %d added, %v", signed, err, tt.added, tt.err)
			}
			trusted(t, s, "v1", trustIn(first))
			if tt.err == nil {
				trusted(t, s, "v1", trustIn(second))
			}
		})
	}
}

// TestSignNeverLoses holds that signatures which cannot be read are not written over.
func TestSignNeverLoses(t *testing.T) {
	s, index := packTest(t, captured(t), t.TempDir())
	sign(t, s, "v1", testSigner(t), SignOptions{})
	garbage := raw(ocispec.MediaTypeImageManifest, []byte("{"))
	if err := pushDocuments(t.Context(), s, garbage); err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(t.Context(), garbage.desc, oci.SignatureTag(index.Digest)); err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(t.Context(), s, "v1", testSigner(t), SignOptions{Time: signTime}); err == nil {
		t.Error("Sign wrote over signatures that it could not read")
	}
}

func manifestsOf(t testing.TB, s oci.Store, index ocispec.Descriptor) []ocispec.Descriptor {
	t.Helper()
	var ix ocispec.Index
	if _, err := oci.FetchDocument(t.Context(), s, index, &ix); err != nil {
		t.Fatal(err)
	}
	return ix.Manifests
}

func cosignKey(t testing.TB, name string) TrustedKey {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cosignData, "keys", name))
	if err != nil {
		t.Fatal(err)
	}
	v, err := signing.ParseVerifier(data)
	if err != nil {
		t.Fatal(err)
	}
	return TrustedKey{Name: name, Verifier: v}
}

func openCosign(t testing.TB, layout string) oci.Store {
	t.Helper()
	s, err := oci.Open(t.Context(), oci.Reference{Transport: oci.TransportLayout, Path: filepath.Join(cosignData, layout)}, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestCosignLayouts holds how the layouts are judged that cosign signed, and that somebody tampered with.
func TestCosignLayouts(t *testing.T) {
	type testCase struct {
		Layout, Expect, Why string
		key                 string
	}
	var cases []testCase
	data, err := os.ReadFile(filepath.Join(cosignData, "tampered.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		cases[i].Layout, cases[i].key = "tampered/"+cases[i].Layout, "release.pub"
	}
	for layout, keys := range map[string][]string{
		"v2sig": {"release.pub"}, "v3bundle": {"release.pub"}, "all": {"release.pub"}, "twokeys": {"release.pub", "rotated.pub"},
		"wrongkey": {"other.pub"}, "unsigned": nil,
	} {
		for _, key := range []string{"release.pub", "rotated.pub", "other.pub", "imp-ed25519.pub"} {
			expect := "reject"
			if slices.Contains(keys, key) {
				expect = "accept"
			}
			cases = append(cases, testCase{"layouts/" + layout, expect, "", key})
		}
	}
	for _, tt := range cases {
		t.Run(tt.Layout+" "+tt.key, func(t *testing.T) {
			_, err := VerifyArtifact(t.Context(), openCosign(t, tt.Layout), "v1", &Trust{Rules: []Rule{{Keys: []TrustedKey{cosignKey(t, tt.key)}}}}, nil)
			if (err == nil) != (tt.Expect == "accept") {
				t.Errorf("VerifyArtifact: %v, want %s: %s", err, tt.Expect, tt.Why)
			}
			if err != nil && !errors.Is(err, ErrUntrusted) && !errors.Is(err, ErrMismatch) {
				t.Errorf("%v is neither ErrUntrusted nor ErrMismatch", err)
			}
		})
	}
}

// TestTrust holds what a set of good signatures is enough for.
func TestTrust(t *testing.T) {
	s, index := packTest(t, captured(t), t.TempDir())
	a, b, stranger := testSigner(t), testSigner(t), testSigner(t)
	sign(t, s, "v1", stranger, SignOptions{})
	sign(t, s, "v1", a, SignOptions{Claims: map[string]string{"ring": "1"}})
	sign(t, s, "v1", b, SignOptions{Claims: map[string]string{"ring": "2"}})
	if err := s.Tag(t.Context(), index, "v2"); err != nil {
		t.Fatal(err)
	}
	both := trustIn(a, b).Rules[0].Keys
	twice := []TrustedKey{{Name: "one", Verifier: a.Verifier()}, {Name: "two", Verifier: a.Verifier()}}
	ended := []TrustedKey{{Name: "a", Verifier: a.Verifier(), NotAfter: signTime.Add(-time.Hour)}, both[1]}
	for _, tt := range []struct {
		name, target string
		rule         Rule
		says         string // "" where it is enough
	}{
		{"one of two keys", "v1", Rule{Keys: both}, ""},
		{"by digest", index.Digest.String(), Rule{Keys: both}, ""},
		{"two of two", "v1", Rule{Keys: both, Threshold: 2}, ""},
		{"three of two", "v1", Rule{Keys: both, Threshold: 3}, "2 of at least 3"},
		{"one key twice", "v1", Rule{Keys: twice, Threshold: 2}, "1 of at least 2"},
		{"a claim", "v1", Rule{Keys: both, Claims: map[string]string{"ring": "2"}}, ""},
		{"a claim that only one makes", "v1", Rule{Keys: both, Claims: map[string]string{"ring": "2"}, Threshold: 2}, `it says that ring is "1"`},
		{"a claim that nobody makes", "v1", Rule{Keys: both, Claims: map[string]string{"x": "2"}}, "does not say what x is"},
		{"another tag", "v2", Rule{Keys: both}, `signed as "v1"`},
		{"a name", "v1", Rule{Keys: both, Names: []string{"x", "example.com/main"}}, ""},
		{"the beginning of a name", "v1", Rule{Keys: both, Names: []string{"example.com/*"}}, ""},
		{"another name", "v1", Rule{Keys: both, Names: []string{"example.com/mai"}}, `for the name "example.com/main"`},
		{"a sequence", "v1", Rule{Keys: both, Lowest: 20261121120000}, ""},
		{"a later sequence", "v1", Rule{Keys: both, Lowest: 20261121120001}, "is below"},
		{"one key that ended", "v1", Rule{Keys: ended}, ""},
		{"a key that ended", "v1", Rule{Keys: ended, Threshold: 2}, "not believed after 2026-11-21T11:00:00Z"},
		{"no key", "v1", Rule{}, "by another key"},
		{"another key", "v1", trustIn(testSigner(t)).Rules[0], "by another key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify(t.Context(), s, tt.target, VerifyOptions{Trust: &Trust{Rules: []Rule{tt.rule}, Now: signTime}})
			if tt.says == "" && err != nil || tt.says != "" && (!errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("Verify: %v, want %q", err, tt.says)
			}
		})
	}
	if _, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: &Trust{}}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("Verify without a rule: %v, want ErrUntrusted", err)
	}
}

// TestTrustSwapped holds that a signature does not make one thing another: a child under the tag of the index, or one
// bundle under the tag of another.
func TestTrustSwapped(t *testing.T) {
	s, index := packTest(t, captured(t), t.TempDir())
	key := testSigner(t)
	sign(t, s, "v1", key, SignOptions{})
	child := manifestsOf(t, s, index)[0]
	child = ocispec.Descriptor{MediaType: child.MediaType, Digest: child.Digest, Size: child.Size}
	if err := s.Tag(t.Context(), child, "v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), s, "v1", VerifyOptions{Trust: trustIn(key)}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("Verify of a child in place of the index: %v, want ErrUntrusted", err)
	}
	if _, err := VerifyArtifact(t.Context(), s, "v1", trustIn(key), nil); !errors.Is(err, ErrUntrusted) {
		t.Errorf("VerifyArtifact of a child in place of the index: %v, want ErrUntrusted", err)
	}
}
