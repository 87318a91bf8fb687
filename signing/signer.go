package signing

import (
	"bytes"
	"crypto"
	"fmt"

	"github.com/sigstore/sigstore/pkg/signature"
)

// A Signer makes signatures with one key.
type Signer struct {
	key      signature.Signer
	verifier *Verifier
}

// ParseSigner reads a private key in PEM: encrypted as cosign does it, or plain. The password is asked for only where
// the key is encrypted.
func ParseSigner(data []byte, password func() ([]byte, error)) (*Signer, error) {
	block, err := decodePEM(data)
	if err != nil {
		return nil, err
	}
	private, err := decodeKey(block, password)
	if err != nil {
		return nil, err
	}
	key, err := signature.LoadSigner(private, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return NewSigner(key)
}

// NewSigner signs with a key that is kept elsewhere, as in a KMS. It has to hash with SHA-256.
func NewSigner(key signature.Signer) (*Signer, error) {
	public, err := key.PublicKey()
	if err != nil {
		return nil, err
	}
	v, err := NewVerifier(public)
	if err != nil {
		return nil, err
	}
	return &Signer{key, v}, nil
}

// Verifier verifies what s signs.
func (s *Signer) Verifier() *Verifier { return s.verifier }

func (s *Signer) sign(message []byte) ([]byte, error) {
	sig, err := s.key.SignMessage(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	// A key that is kept elsewhere may sign with another algorithm than was asked for.
	if s.verifier.tries[0].VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)) != nil {
		return nil, fmt.Errorf("%w: it does not sign with the algorithm that cosign verifies", ErrKey)
	}
	return sig, nil
}
