package signing

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// The names that make a sigstore bundle a signature.
const (
	MediaTypeBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	PredicateType   = "https://sigstore.dev/cosign/sign/v1"
)

const (
	inTotoType    = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
)

// sigstoreBundle is what is written. What is read may have more, see [ParseBundle].
type sigstoreBundle struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	Envelope  envelope `json:"dsseEnvelope"`
}

type material struct {
	PublicKey publicKey `json:"publicKey"`
}

type publicKey struct {
	Hint string `json:"hint"`
}

type envelope struct {
	Payload     []byte              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	Sig []byte `json:"sig"`
}

type statement struct {
	Type          string          `json:"_type"`
	Subject       []subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

type subject struct {
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// SignBundle returns a sigstore bundle. It has no place for the statement's Reference.
func (s *Signer) SignBundle(st Statement) ([]byte, error) {
	return s.signStatement(st, PredicateType, json.RawMessage("{}"), maxBundle)
}

// signStatement returns a sigstore bundle of at most so many bytes.
func (s *Signer) signStatement(st Statement, predicateType string, predicate json.RawMessage, most int) ([]byte, error) {
	body, err := encode(statement{
		Type:          statementType,
		Subject:       []subject{{map[string]string{"sha256": st.Digest.Encoded()}, st.Claims}},
		PredicateType: predicateType,
		Predicate:     predicate,
	})
	if err != nil {
		return nil, err
	}
	sig, err := s.sign(dsse.PAE(inTotoType, body))
	if err != nil {
		return nil, err
	}
	data, err := encode(sigstoreBundle{
		MediaType: MediaTypeBundle,
		Material:  material{publicKey{s.verifier.ID()}},
		Envelope:  envelope{body, inTotoType, []envelopeSignature{{sig}}},
	})
	if err == nil && len(data) > most {
		err = fmt.Errorf("sign %s: the sigstore bundle would have %d bytes, at most %d are read", st.Digest, len(data), most)
	}
	return data, err
}

// ParseBundle reads a sigstore bundle that a key signed. Entries of transparency logs and timestamps may be in it and
// are not looked at; a certificate in place of the key may not.
func ParseBundle(data []byte) (*Signature, error) {
	body, sig, key, err := readBundle(data, maxBundle)
	if err != nil {
		return nil, err
	}
	read := func(want digest.Digest) (Statement, error) {
		st, err := readStatement(body, want)
		if err == nil && st.predicateType != PredicateType {
			err = fmt.Errorf("an attestation (%q), which is not a signature", st.predicateType)
		}
		if err != nil {
			return Statement{}, fmt.Errorf("%w: statement: %w", ErrMalformed, err)
		}
		return st.Statement, nil
	}
	return &Signature{dsse.PAE(inTotoType, body), sig, read, keyHint(key)}, nil
}

// keyHint returns what a bundle says of its key; "" where it is none to be shown.
func keyHint(data json.RawMessage) string {
	const longest = 100
	var key publicKey
	if json.Unmarshal(data, &key) != nil || len(key.Hint) > longest {
		return ""
	}
	return key.Hint
}

// readBundle returns the statement in a sigstore bundle, its signature, and what it says of the key.
func readBundle(data []byte, most int) (body, sig []byte, key json.RawMessage, err error) {
	if len(data) > most {
		return nil, nil, nil, fmt.Errorf("%w: a sigstore bundle of %d bytes, at most %d are read", ErrMalformed, len(data), most)
	}
	var mediaType string
	var material, env, ignored json.RawMessage
	err = record(data, map[string]any{"mediaType": &mediaType, "verificationMaterial": &material, "dsseEnvelope": &env})
	if err == nil && mediaType != MediaTypeBundle {
		err = fmt.Errorf("media type %q", mediaType)
	}
	if err == nil {
		err = record(material, map[string]any{"publicKey": &key, "tlogEntries": &ignored, "timestampVerificationData": &ignored})
	}
	if err == nil {
		body, sig, err = readEnvelope(env)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: sigstore bundle: %w", ErrMalformed, err)
	}
	return body, sig, key, nil
}

func readEnvelope(data json.RawMessage) (body, sig []byte, err error) {
	var kind, text, keyID string
	var signatures []json.RawMessage
	if err := record(data, map[string]any{"payload": &body, "payloadType": &kind, "signatures": &signatures}); err != nil {
		return nil, nil, err
	}
	if kind != inTotoType {
		return nil, nil, fmt.Errorf("payload of the type %q", kind)
	}
	if len(signatures) != 1 {
		return nil, nil, fmt.Errorf("%d signatures in one envelope", len(signatures))
	}
	if err := record(signatures[0], map[string]any{"sig": &text, "keyid": &keyID}); err != nil {
		return nil, nil, err
	}
	sig, err = decodeSignature(text)
	return body, sig, err
}

// inToto is an in-toto statement about one thing.
type inToto struct {
	Statement
	predicateType string
	predicate     json.RawMessage
}

func readStatement(body []byte, want digest.Digest) (st inToto, err error) {
	var kind string
	var subjects []json.RawMessage
	err = record(body, map[string]any{"_type": &kind, "subject": &subjects, "predicateType": &st.predicateType, "predicate": &st.predicate})
	if err != nil {
		return inToto{}, err
	}
	if !strings.HasPrefix(kind, "https://in-toto.io/Statement/") {
		return inToto{}, fmt.Errorf("it has the type %q", kind)
	}
	st.Statement, err = findSubject(subjects, want)
	return st, err
}

// findSubject returns the one of the subjects that has the digest.
func findSubject(subjects []json.RawMessage, want digest.Digest) (Statement, error) {
	var found *Statement
	for _, data := range subjects {
		if string(data) == "null" {
			continue
		}
		st, err := readSubject(data)
		if err != nil {
			return Statement{}, err
		}
		if st.Digest == want && found != nil {
			return Statement{}, fmt.Errorf("two subjects have the digest %s", want)
		}
		if st.Digest == want {
			found = &st
		}
	}
	if found == nil {
		return Statement{}, fmt.Errorf("it is not about %s", want)
	}
	return *found, nil
}

func readSubject(data json.RawMessage) (st Statement, err error) {
	var digests, annotations, ignored json.RawMessage
	err = record(data, map[string]any{
		"digest": &digests, "annotations": &annotations,
		"name": &ignored, "uri": &ignored, "content": &ignored, "downloadLocation": &ignored, "mediaType": &ignored,
	})
	if err != nil {
		return st, err
	}
	sums, err := words(digests)
	if err != nil {
		return st, err
	}
	if hex, ok := sums["sha256"]; ok {
		st.Digest = digest.NewDigestFromEncoded(digest.SHA256, hex)
	}
	st.Claims, err = words(annotations)
	return st, err
}
