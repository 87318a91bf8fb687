package signing

import (
	"bytes"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

const (
	provenanceType = "https://slsa.dev/provenance/v1"
	goodAttested   = `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"host/repo","digest":{"sha256":"` + goodHex + `"}}],` +
		`"predicateType":"` + provenanceType + `","predicate":{"a":[1,{"b":"<&>"}],"c":{"a":null}}}`
)

// attestedCases are statements of attestations by the rule that they keep or break.
var attestedCases = map[string]struct {
	data string
	good bool
}{
	"as cosign has it":         {goodAttested, true},
	"newer type":               {strings.Replace(goodAttested, "Statement/v0.1", "Statement/v1", 1), true},
	"space in it":              {strings.Replace(goodAttested, `"predicate":{`, `"predicate" : { `, 1), true},
	"text":                     {strings.Replace(goodAttested, `{"a":[1,{"b":"<&>"}],"c":{"a":null}}`, `"SPDXVersion: SPDX-2.3"`, 1), true},
	"empty predicate":          {strings.Replace(goodAttested, `{"a":[1,{"b":"<&>"}],"c":{"a":null}}`, `{}`, 1), true},
	"a signature":              {goodStatement, false},
	"another type":             {strings.Replace(goodAttested, "provenance/v1", "provenance/v0.2", 1), false},
	"longer type":              {strings.Replace(goodAttested, "provenance/v1", "provenance/v1/", 1), false},
	"type twice":               {strings.Replace(goodAttested, `"predicateType"`, `"predicateType":"x","predicateType"`, 1), false},
	"type in another case":     {strings.Replace(goodAttested, `"predicateType"`, `"PredicateType"`, 1), false},
	"another subject":          {strings.Replace(goodAttested, goodHex, otherDigest[7:], 1), false},
	"predicate twice":          {strings.Replace(goodAttested, `"predicate":`, `"predicate":{},"predicate":`, 1), false},
	"no predicate":             {goodAttested[:strings.Index(goodAttested, `,"predicate":`)] + "}", false},
	"null for a predicate":     {goodAttested[:strings.Index(goodAttested, `"predicate":`)] + `"predicate":null}`, false},
	"list for a predicate":     {goodAttested[:strings.Index(goodAttested, `"predicate":`)] + `"predicate":[]}`, false},
	"key twice in it":          {strings.Replace(goodAttested, `"c":{`, `"c":{"a":1,`, 1), false},
	"key twice, once escaped":  {strings.Replace(goodAttested, `"c":{`, `"c":{"\u0061":1,`, 1), false},
	"key twice, with a value":  {strings.Replace(goodAttested, `"c":{`, `"c":{"a":{"x":[]},`, 1), false},
	"deeper than anybody goes": {strings.Replace(goodAttested, `"<&>"`, strings.Repeat("[", 1000)+strings.Repeat("]", 1000), 1), false},
	"data behind":              {goodAttested + "{}", false},
	"cut":                      {goodAttested[:len(goodAttested)-1], false},
}

func TestAttestationRules(t *testing.T) {
	s := mustSigner(t, newKey(t, elliptic.P256()))
	for name, tt := range attestedCases {
		t.Run(name, func(t *testing.T) {
			signed := bundleOf(t, s, tt.data)
			a, err := ParseAttestation([]byte(signed))
			if err != nil {
				t.Fatal(err)
			}
			predicate, err := a.Verify(s.Verifier(), goodDigest, provenanceType)
			if tt.good && (err != nil || !json.Valid(predicate)) || !tt.good && !errors.Is(err, ErrMalformed) {
				t.Errorf("Verify = %q, %v, want good = %v", predicate, err, tt.good)
			}
			sig, err := ParseBundle([]byte(signed))
			if err != nil {
				t.Fatal(err)
			}
			if st, err := sig.Verify(s.Verifier(), goodDigest); err == nil && name != "a signature" {
				t.Errorf("the attestation is a signature too: %v", st)
			}
		})
	}
}

// TestSignAttestation holds that what is signed is read again as it was, with and without a sigstore bundle around it,
// by the right key, and for nothing but its type and digest.
func TestSignAttestation(t *testing.T) {
	s, other := mustSigner(t, newKey(t, elliptic.P256())), mustSigner(t, newKey(t, elliptic.P256()))
	predicate := []byte(`{ "b": "<&>", "a": 1.50 }` + "\n")
	data, err := s.SignAttestation(goodDigest, provenanceType, predicate)
	if err != nil {
		t.Fatal(err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		t.Fatal(err)
	}
	fromBundle, err := ParseAttestation(data)
	if err != nil {
		t.Fatal(err)
	}
	fromEnvelope, err := ParseEnvelope(parts["dsseEnvelope"])
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*Attestation{fromBundle, fromEnvelope} {
		if got, err := a.Verify(s.Verifier(), goodDigest, provenanceType); err != nil || string(got) != `{"b":"<&>","a":1.50}` {
			t.Errorf("Verify = %q, %v", got, err)
		}
		if _, err := a.Verify(other.Verifier(), goodDigest, provenanceType); !errors.Is(err, ErrNoMatch) {
			t.Errorf("Verify with another key: %v, want ErrNoMatch", err)
		}
		if _, err := a.Verify(s.Verifier(), otherDigest, provenanceType); !errors.Is(err, ErrMalformed) {
			t.Errorf("Verify for another digest: %v, want ErrMalformed", err)
		}
	}
	for name, predicate := range map[string]string{
		"empty": "", "a list": "[]", "cut": `{"a":`, "two": "{}{}", "not UTF-8": "{\"a\":\"\xff\"}", "a key twice": `{"a":1,"a":2}`,
		"too large": `"` + strings.Repeat("x", MaxAttestation) + `"`,
	} {
		if _, err := s.SignAttestation(goodDigest, provenanceType, []byte(predicate)); err == nil {
			t.Errorf("a predicate that is %s was signed", name)
		}
	}
	if _, err := s.SignAttestation(goodDigest, PredicateType, []byte("{}")); err == nil {
		t.Error("an attestation that is a signature was signed")
	}
	for _, parse := range []func([]byte) (*Attestation, error){ParseAttestation, ParseEnvelope} {
		if _, err := parse(make([]byte, MaxAttestation+1)); !errors.Is(err, ErrMalformed) {
			t.Errorf("too many bytes: %v, want ErrMalformed", err)
		}
	}
}

// FuzzPredicate holds that nothing is taken for an attestation that is about something else, and that what is given out
// is one value in which no key stands twice.
func FuzzPredicate(f *testing.F) {
	for _, tt := range attestedCases {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		predicate, err := readPredicate(data, goodDigest, provenanceType)
		if err != nil {
			return
		}
		if !json.Valid(predicate) || checkKeys(predicate) != nil || len(predicate) > len(data) {
			t.Errorf("%q was read out of %q", predicate, data)
		}
		if !bytes.Contains(data, []byte(goodHex)) && !bytes.Contains(data, []byte(`\u`)) {
			t.Errorf("%q was taken to be about %s", data, goodDigest)
		}
		if st, err := readStatement(data, goodDigest); err != nil || st.predicateType != provenanceType {
			t.Errorf("%q is of the type %q", data, st.predicateType)
		}
	})
}
