package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// A Verifier is a public key, with the algorithms that cosign may have used with it.
type Verifier struct {
	der   []byte // PKIX
	tries []signature.Verifier
}

// ParseVerifier reads a public key in PEM.
func ParseVerifier(data []byte) (*Verifier, error) {
	block, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	if block.Type != pemPublic {
		return nil, fmt.Errorf("%w: PEM of the type %q, not %q", ErrKey, block.Type, pemPublic)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return NewVerifier(key)
}

// NewVerifier verifies with a key that was read elsewhere.
func NewVerifier(public crypto.PublicKey) (*Verifier, error) {
	if err := checkKey(public); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	v := &Verifier{der: der}
	for _, algorithm := range algorithms(public) {
		try, err := signature.LoadVerifierWithOpts(public, algorithm...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		v.tries = append(v.tries, try)
	}
	return v, nil
}

// algorithms are the one that a [Signer] uses, and then the one that cosign does.
func algorithms(public crypto.PublicKey) [][]signature.LoadOption {
	found := [][]signature.LoadOption{{options.WithHash(crypto.SHA256)}}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits > 384 {
			found = append(found, []signature.LoadOption{options.WithHash(crypto.SHA512)})
		} else if bits > 256 {
			found = append(found, []signature.LoadOption{options.WithHash(crypto.SHA384)})
		}
	case ed25519.PublicKey:
		found = append(found, []signature.LoadOption{options.WithED25519ph()})
	}
	return found
}

// PEM is the key as cosign writes public keys.
func (v *Verifier) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: v.der})
}

// ID is the base64 of the key's SHA-256: what cosign puts into a sigstore bundle as the key's hint.
func (v *Verifier) ID() string {
	sum := sha256.Sum256(v.der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (v *Verifier) verify(message, sig []byte) error {
	for _, try := range v.tries {
		if try.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w by the key %s", ErrNoMatch, v.ID())
}
