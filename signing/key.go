package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// The types of PEM blocks. Cosign writes the first, and did write the second.
const (
	pemSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign   = "ENCRYPTED COSIGN PRIVATE KEY"
	pemPKCS8    = "PRIVATE KEY"
	pemPKCS1    = "RSA PRIVATE KEY"
	pemSEC1     = "EC PRIVATE KEY"
	pemPublic   = "PUBLIC KEY"
)

const (
	maxKey     = 64 << 10 // bytes of a PEM file
	minRSABits = 2048
	maxRSABits = 8192
)

// GenerateKey makes an ECDSA key on P-256 and returns it encrypted, in the form that [ParseSigner] and cosign read,
// and its public half in PEM. An empty password encrypts as well.
func GenerateKey(password []byte) (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	return encodeKey(key, password)
}

// ImportKey is [GenerateKey] for a key that is there: a private key in PEM, not encrypted, as PKCS #8, PKCS #1 or SEC 1.
func ImportKey(data, password []byte) (private, public []byte, err error) {
	block, err := decodePEM(data)
	if err != nil {
		return nil, nil, err
	}
	if block.Type == pemSigstore || block.Type == pemCosign {
		return nil, nil, fmt.Errorf("%w: it is in cosign's form already", ErrKey)
	}
	key, err := decodeKey(block, nil)
	if err != nil {
		return nil, nil, err
	}
	return encodeKey(key, password)
}

func encodeKey(key crypto.Signer, password []byte) (private, public []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	box, err := encrypted.Encrypt(der, password)
	if err != nil {
		return nil, nil, err
	}
	v, err := NewVerifier(key.Public())
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: box}), v.PEM(), nil
}

// decodePEM reads a file that holds one key and nothing else.
func decodePEM(data []byte) (*pem.Block, error) {
	if len(data) > maxKey {
		return nil, fmt.Errorf("%w: %d bytes are no key", ErrKey, len(data))
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%w: it is not PEM", ErrKey)
	}
	if another, _ := pem.Decode(rest); another != nil {
		return nil, fmt.Errorf("%w: the PEM file holds more than one", ErrKey)
	}
	return block, nil
}

// decodeKey asks for the password only where there is one.
func decodeKey(block *pem.Block, password func() ([]byte, error)) (crypto.Signer, error) {
	der := block.Bytes
	if block.Type == pemSigstore || block.Type == pemCosign {
		secret, err := password()
		if err != nil {
			return nil, err
		}
		// The library refuses scrypt parameters that would take the machine's memory.
		if der, err = encrypted.Decrypt(block.Bytes, secret); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPassword, err)
		}
	}
	key, err := parseKey(block.Type, der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a %T does not sign", ErrKey, key)
	}
	return signer, checkKey(signer.Public())
}

func parseKey(pemType string, der []byte) (any, error) {
	switch pemType {
	case pemSigstore, pemCosign, pemPKCS8:
		return x509.ParsePKCS8PrivateKey(der)
	case pemPKCS1:
		return x509.ParsePKCS1PrivateKey(der)
	case pemSEC1:
		return x509.ParseECPrivateKey(der)
	case pemPublic:
		return nil, errors.New("it is a public key, which does not sign")
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("it is encrypted in another form than cosign's; take that off with \"openssl pkey\"")
	}
	return nil, fmt.Errorf("PEM of the type %q", pemType)
}

// checkKey refuses keys that are too weak, or that cosign does not know.
func checkKey(public crypto.PublicKey) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("%w: RSA of %d bits, not of %d to %d", ErrKey, bits, minRSABits, maxRSABits)
		}
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return fmt.Errorf("%w: ECDSA on a curve of %d bits", ErrKey, bits)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("%w: a %T is none that signs", ErrKey, public)
	}
	return nil
}
