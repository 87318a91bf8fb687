package signing

import (
	"encoding/base64"
	"fmt"

	"github.com/opencontainers/go-digest"
)

const (
	maxPayload   = 64 << 10  // bytes
	maxBundle    = 128 << 10 // bytes; cosign's have 700
	maxSignature = 8 << 10   // bytes of the signature itself, in base64
)

// A Statement is what a signature says.
type Statement struct {
	Digest    digest.Digest     // of what is signed
	Reference string            // the repository it was in when it was signed; "" in sigstore bundles
	Claims    map[string]string // what the signer added
}

// A Signature was read, and not verified. What it says counts only if it comes from [Signature.Verify].
type Signature struct {
	message []byte // what is signed
	sig     []byte
	read    func(want digest.Digest) (Statement, error)
	hint    string
}

// Verify says whether v's key made the signature, for the digest, and returns what it says. It is [ErrNoMatch] where
// another key made it, and [ErrMalformed] where it is not what a signature of the digest has to be.
func (s *Signature) Verify(v *Verifier, want digest.Digest) (Statement, error) {
	if err := v.verify(s.message, s.sig); err != nil {
		return Statement{}, err
	}
	return s.Unverified(want)
}

// Unverified returns what the signature says of the digest, which anybody may have written: it is to be shown, and never
// to be acted upon.
func (s *Signature) Unverified(want digest.Digest) (Statement, error) {
	st, err := s.read(want)
	if err != nil {
		return Statement{}, err
	}
	if st.Digest != want {
		return Statement{}, fmt.Errorf("%w: it is a signature of %s", ErrMalformed, st.Digest)
	}
	return st, nil
}

// Concerns says whether it would be a signature of the digest, whichever key made it. Nothing is proven by that.
func (s *Signature) Concerns(want digest.Digest) bool {
	st, err := s.read(want)
	return err == nil && st.Digest == want
}

// Hint is what a sigstore bundle says of the key, which anybody may have written: with cosign and goferry the
// [Verifier.ID]. It is "" in a payload.
func (s *Signature) Hint() string { return s.hint }

func decodeSignature(text string) ([]byte, error) {
	if len(text) > maxSignature {
		return nil, fmt.Errorf("%w: %d bytes are too many", ErrMalformed, len(text))
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(sig) == 0 {
		return nil, fmt.Errorf("%w: not base64", ErrMalformed)
	}
	return sig, nil
}

// checkDigest holds before a digest is compared with anything, or printed.
func checkDigest(d digest.Digest) error {
	if d.Validate() != nil || d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%w: %q is not a sha256 digest", ErrMalformed, d)
	}
	return nil
}
