package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

const cosignData = "testdata/cosign"

var someDigest = digest.FromString("some index")

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cosignData, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func password(p string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(p), nil }
}

func mustVerifier(t testing.TB, name string) *Verifier {
	t.Helper()
	v, err := ParseVerifier(readFile(t, "keys/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// mustSigner makes a signer of a key that was made here, without a password.
func mustSigner(t testing.TB, key crypto.PrivateKey) *Signer {
	t.Helper()
	s, err := ParseSigner(pkcs8(t, key), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pkcs8(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der})
}

func newKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestCosignKeys holds that the private keys which cosign made and imported are read, and belong to their public keys.
func TestCosignKeys(t *testing.T) {
	for name, p := range map[string]string{
		"release": "test", "release-legacy-pem-type": "test", "empty": "", "imp-rsa2048": "test", "imp-p384": "test", "imp-ed25519": "test",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSigner(readFile(t, "keys/"+name+".key"), password(p))
			if err != nil {
				t.Fatal(err)
			}
			public := readFile(t, "keys/"+strings.TrimSuffix(name, "-legacy-pem-type")+".pub")
			if got := s.Verifier().PEM(); !bytes.Equal(got, public) {
				t.Errorf("public key\n%swant\n%s", got, public)
			}
		})
	}
}

func TestGenerateKey(t *testing.T) {
	private, public, err := GenerateKey([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSigner(private, password("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Verifier().PEM(), public) {
		t.Error("the two halves do not belong together")
	}
	if _, err := ParseSigner(private, password("Secret")); !errors.Is(err, ErrPassword) || !errors.Is(err, ErrKey) {
		t.Errorf("wrong password: %v, want ErrPassword", err)
	}
	if !bytes.HasPrefix(private, []byte("-----BEGIN "+pemSigstore+"-----")) {
		t.Errorf("private key begins %.60s", private)
	}
}

// TestImportKey holds that what is imported signs for the key that it was.
func TestImportKey(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, minRSABits)
	if err != nil {
		t.Fatal(err)
	}
	p384 := newKey(t, elliptic.P384())
	sec1, err := x509.MarshalECPrivateKey(p384)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  crypto.Signer
		data []byte
	}{
		"PKCS #1": {small, pem.EncodeToMemory(&pem.Block{Type: pemPKCS1, Bytes: x509.MarshalPKCS1PrivateKey(small)})},
		"SEC 1":   {p384, pem.EncodeToMemory(&pem.Block{Type: pemSEC1, Bytes: sec1})},
		"PKCS #8": {p384, pkcs8(t, p384)},
	} {
		t.Run(name, func(t *testing.T) {
			private, public, err := ImportKey(tt.data, []byte("p"))
			if err != nil {
				t.Fatal(err)
			}
			s, err := ParseSigner(private, password("p"))
			if err != nil {
				t.Fatal(err)
			}
			want, err := NewVerifier(tt.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(public, want.PEM()) || s.Verifier().ID() != want.ID() {
				t.Error("the imported key is another one")
			}
		})
	}
}

// TestKeyRefused holds that a key which is not fit for signing is ErrKey, and that the user learns why.
func TestKeyRefused(t *testing.T) {
	weak := weakRSA
	odd := bytes.Replace(pemBody(t, readFile(t, "keys/release.key")), []byte(`"N":65536`), []byte(`"N":65535`), 1)
	huge := bytes.Replace(pemBody(t, readFile(t, "keys/release.key")), []byte(`"r":8`), []byte(`"r":800000000`), 1)
	public, err := x509.MarshalPKIXPublicKey(newKey(t, elliptic.P224()).Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ data, says string }{
		"RSA 1024":           {weak, "1024 bits"},
		"P-224":              {string(pkcs8(t, newKey(t, elliptic.P224()))), "224"},
		"public key":         {string(readFile(t, "keys/release.pub")), "public key"},
		"other encryption":   {string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")})), "openssl"},
		"odd scrypt":         {sealed(odd), "scrypt"},
		"huge scrypt":        {sealed(huge), "scrypt"},
		"not JSON":           {sealed([]byte("{")), "damaged"},
		"empty":              {"", "not PEM"},
		"cut":                {string(readFile(t, "keys/release.key")[:200]), "not PEM"},
		"two keys":           {string(readFile(t, "keys/release.key")) + string(readFile(t, "keys/other.key")), "more than one"},
		"too long":           {strings.Repeat("x", maxKey+1), "bytes"},
		"garbage in PKCS #8": {string(pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: []byte("x")})), ""},
		"certificate":        {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public})), "CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSigner([]byte(tt.data), password("test"))
			if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("ParseSigner: %v, want ErrKey with %q", err, tt.says)
			}
			if _, err := ParseVerifier([]byte(tt.data)); name != "public key" && !errors.Is(err, ErrKey) {
				t.Errorf("ParseVerifier: %v, want ErrKey", err)
			}
		})
	}
	if _, err := ParseVerifier(pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: public})); !errors.Is(err, ErrKey) {
		t.Errorf("public key on P-224: %v, want ErrKey", err)
	}
	if _, _, err := ImportKey([]byte(weak), nil); !errors.Is(err, ErrKey) {
		t.Errorf("import RSA 1024: %v, want ErrKey", err)
	}
	if _, _, err := ImportKey(readFile(t, "keys/release.key"), nil); !errors.Is(err, ErrKey) {
		t.Errorf("import of cosign's own form: %v, want ErrKey", err)
	}
}

func pemBody(t *testing.T, data []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(data)
	if block == nil {
		t.Fatal("not PEM")
	}
	return block.Bytes
}

func sealed(body []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: body}))
}

// TestID holds that it is the hint of cosign's sigstore bundles.
func TestID(t *testing.T) {
	const want = "OjYCoW10B8R7LLSURKadl+cYmduRnTGNbVyCbj8K++c="
	if got := mustVerifier(t, "release.pub").ID(); got != want {
		t.Errorf("ID = %s, want %s", got, want)
	}
	if raw, err := base64.StdEncoding.DecodeString(want); err != nil || len(raw) != 32 {
		t.Error("not a SHA-256")
	}
}
