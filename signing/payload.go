package signing

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
)

// The names under which payloads are stored.
const (
	MediaTypePayload    = "application/vnd.dev.cosign.simplesigning.v1+json" // of the layer that is the payload
	AnnotationSignature = "dev.cosignproject.cosign/signature"               // of the layer: the signature in base64
)

const payloadType = "cosign container image signature"

// payload is the order in which cosign writes it.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest digest.Digest `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]string `json:"optional"`
}

// SignPayload returns a payload, which is the same for the same statement, and its signature in base64.
func (s *Signer) SignPayload(st Statement) (data []byte, sig string, err error) {
	var p payload
	p.Critical.Identity.Reference = st.Reference
	p.Critical.Image.Digest = st.Digest
	p.Critical.Type = payloadType
	p.Optional = st.Claims
	if data, err = json.Marshal(p); err != nil {
		return nil, "", err
	}
	if len(data) > maxPayload {
		return nil, "", fmt.Errorf("sign %s: the payload would have %d bytes, at most %d are read", st.Digest, len(data), maxPayload)
	}
	raw, err := s.sign(data)
	return data, base64.StdEncoding.EncodeToString(raw), err
}

// ParsePayload takes a payload and its signature in base64.
func ParsePayload(data []byte, sig string) (*Signature, error) {
	if len(data) > maxPayload {
		return nil, fmt.Errorf("%w: a payload of %d bytes, at most %d are read", ErrMalformed, len(data), maxPayload)
	}
	raw, err := decodeSignature(sig)
	if err != nil {
		return nil, err
	}
	return &Signature{data, raw, func(digest.Digest) (Statement, error) { return readPayload(data) }, ""}, nil
}

func readPayload(data []byte) (st Statement, err error) {
	var critical, optional, identity, image json.RawMessage
	var kind string
	for _, part := range []struct {
		data   *json.RawMessage
		fields map[string]any
	}{
		{(*json.RawMessage)(&data), map[string]any{"critical": &critical, "optional": &optional}},
		{&critical, map[string]any{"identity": &identity, "image": &image, "type": &kind}},
		{&identity, map[string]any{"docker-reference": &st.Reference}},
		{&image, map[string]any{"docker-manifest-digest": &st.Digest}},
	} {
		if err := record(*part.data, part.fields); err != nil {
			return Statement{}, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
		}
	}
	if kind != payloadType {
		return Statement{}, fmt.Errorf("%w: payload of the type %q", ErrMalformed, kind)
	}
	if st.Claims, err = words(optional); err != nil {
		return Statement{}, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
	}
	return st, checkDigest(st.Digest)
}
