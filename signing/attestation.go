package signing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// MediaTypeEnvelope is that of a DSSE envelope which is stored on its own, as cosign 2 stores attestations.
const MediaTypeEnvelope = "application/vnd.dsse.envelope.v1+json"

// MaxAttestation is the size of the largest attestation that is made or read, in bytes: a bill of materials of 35,000
// modules.
const MaxAttestation = 16 << 20

// SignAttestation returns a sigstore bundle with a statement of the type about d. The predicate is a JSON object or,
// as cosign does it with text that is not JSON, a string; it is written without space between its tokens.
func (s *Signer) SignAttestation(d digest.Digest, predicateType string, predicate []byte) ([]byte, error) {
	if predicateType == "" || predicateType == PredicateType {
		return nil, fmt.Errorf("attest: %q is not the type of an attestation", predicateType)
	}
	if err := checkPredicate(predicate); err != nil {
		return nil, fmt.Errorf("attest: predicate: %w", err)
	}
	return s.signStatement(Statement{Digest: d}, predicateType, predicate, MaxAttestation)
}

// An Attestation was read, and not verified. What it says can be learned only from [Attestation.Verify].
type Attestation struct{ body, sig []byte }

// ParseAttestation reads a sigstore bundle as [ParseBundle] does.
func ParseAttestation(data []byte) (*Attestation, error) {
	body, sig, _, err := readBundle(data, MaxAttestation)
	if err != nil {
		return nil, err
	}
	return &Attestation{body, sig}, nil
}

// ParseEnvelope reads an envelope that is stored on its own.
func ParseEnvelope(data []byte) (*Attestation, error) {
	if len(data) > MaxAttestation {
		return nil, fmt.Errorf("%w: an envelope of %d bytes, at most %d are read", ErrMalformed, len(data), MaxAttestation)
	}
	body, sig, err := readEnvelope(data)
	if err != nil {
		return nil, fmt.Errorf("%w: envelope: %w", ErrMalformed, err)
	}
	return &Attestation{body, sig}, nil
}

// Verify returns the predicate, without space between its tokens, if v's key signed it, as one of the type, and about
// the digest. It is [ErrNoMatch] where another key did, and [ErrMalformed] where it is something else; a signature is
// always something else.
func (a *Attestation) Verify(v *Verifier, want digest.Digest, predicateType string) ([]byte, error) {
	if err := v.verify(dsse.PAE(inTotoType, a.body), a.sig); err != nil {
		return nil, err
	}
	predicate, err := readPredicate(a.body, want, predicateType)
	if err != nil {
		return nil, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
	}
	return predicate, nil
}

func readPredicate(body []byte, want digest.Digest, predicateType string) ([]byte, error) {
	st, err := readStatement(body, want)
	switch {
	case err != nil:
		return nil, err
	case st.predicateType == PredicateType:
		return nil, fmt.Errorf("a signature, which is not an attestation")
	case st.predicateType != predicateType:
		return nil, fmt.Errorf("an attestation of the type %q", st.predicateType)
	}
	if err := checkPredicate(st.predicate); err != nil {
		return nil, fmt.Errorf("predicate: %w", err)
	}
	var b bytes.Buffer
	err = json.Compact(&b, st.predicate)
	return b.Bytes(), err
}

// checkPredicate holds that every reader sees the same in a predicate.
func checkPredicate(data []byte) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("not UTF-8")
	}
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) == 0 || first[0] != '{' && first[0] != '"' || !json.Valid(data) {
		return fmt.Errorf("not a JSON object")
	}
	return checkKeys(data)
}
