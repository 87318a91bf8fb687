package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature/kms"
	_ "github.com/sigstore/sigstore/pkg/signature/kms/hashivault" // others are plugins on PATH
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/signing"
)

// maxKeyFile is more than a key in PEM has.
const maxKeyFile = 64 << 10

// A key reference is a file, env://NAME for an environment variable that holds the PEM text, or the
// URI of a key in a KMS: hashivault://KEY, or SCHEME://… for which there is a program
// sigstore-kms-SCHEME.

// loadSigner returns the private key that ref names. It asks for the password of an encrypted one.
func loadSigner(c *cli.Context, ref string) (*signing.Signer, error) {
	if isKMS(ref) {
		key, err := openKMS(c.Context, ref)
		if err != nil {
			return nil, err
		}
		signer, err := signing.NewSigner(key)
		return recordSigner(c.Context, ref, signer), keyError(ref, err)
	}
	data, err := readKey(ref)
	if err != nil {
		return nil, keyError(ref, err)
	}
	signer, err := signing.ParseSigner(data, func() ([]byte, error) { return keyPassword(c, ref) })
	return recordSigner(c.Context, ref, signer), keyError(ref, err)
}

func recordSigner(ctx context.Context, ref string, signer *signing.Signer) *signing.Signer {
	if signer != nil {
		trailOf(ctx).key(ref, signer.Verifier().ID(), "sign")
	}
	return signer
}

// loadVerifier returns the public key that ref names.
func loadVerifier(ctx context.Context, ref string) (*signing.Verifier, error) {
	if !isKMS(ref) {
		data, err := readKey(ref)
		if err != nil {
			return nil, keyError(ref, err)
		}
		v, err := signing.ParseVerifier(data)
		return v, keyError(ref, err)
	}
	key, err := openKMS(ctx, ref)
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, keyError(ref, err)
	}
	v, err := signing.NewVerifier(public)
	return v, keyError(ref, err)
}

const envScheme = "env://"

func isKMS(ref string) bool {
	return strings.Contains(ref, "://") && !strings.HasPrefix(ref, envScheme)
}

func openKMS(ctx context.Context, ref string) (kms.SignerVerifier, error) {
	log.SetOutput(io.Discard) // a provider tells there what its errors tell again
	key, err := kms.Get(ctx, ref, crypto.SHA256)
	if errors.Is(err, exec.ErrNotFound) {
		scheme, _, _ := strings.Cut(ref, "://")
		return nil, withHint(keyError(ref, err), "goferry itself knows hashivault:// and openbao:// only; for %s:// install the sigstore plugin sigstore-kms-%[1]s on PATH", scheme)
	}
	return key, keyError(ref, err)
}

func readKey(ref string) ([]byte, error) {
	if name, ok := strings.CutPrefix(ref, envScheme); ok {
		value, ok := os.LookupEnv(name)
		if !ok {
			return nil, fmt.Errorf("the environment has no %s", name)
		}
		return []byte(value), nil
	}
	return readSmall(ref, maxKeyFile)
}

func keyError(ref string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("key %q: %w", ref, err)
	if errors.Is(err, fs.ErrNotExist) {
		return withHint(err, "%s", keyHint)
	}
	return err
}

// keyHint is for a key that is not there, or is none.
const keyHint = "\"goferry keygen --out PREFIX\" makes PREFIX.key, which signs, and PREFIX.pub, which verifies"
