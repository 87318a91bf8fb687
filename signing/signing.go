// Package signing makes and reads signatures as cosign has them. It knows keys and payloads, bytes in and bytes out:
// where a signature is kept, and what is done with it, is told in packages oci and bundle.
//
// # What is signed
//
// The digest of a manifest or an index, together with claims: words that the signer adds, as "cosign sign -a" does.
// A signature says nothing of what the digest stands for, so whoever verifies one hashes the rest.
//
// # Two forms
//
// A payload is the older form, simple signing. It is a blob of JSON,
//
//	{"critical":{"identity":{"docker-reference":"…"},"image":{"docker-manifest-digest":"sha256:…"},
//	 "type":"cosign container image signature"},"optional":{claims}}
//
// and the signature, over exactly its bytes, stands in base64 beside it. A sigstore bundle is the newer one: a JSON
// file with a DSSE envelope of an in-toto statement whose subject is the digest and whose predicateType is
// https://sigstore.dev/cosign/sign/v1; the claims are the subject's annotations.
//
// An [Attestation] has the form of the newer one, another predicateType, and a predicate: what is said of the digest. It
// is never taken for a signature, though cosign does, nor a signature for it. What it says is not looked at, and no more
// is believed of it than that the key said so; only that no two readers see two things in it.
//
// # Algorithms
//
// The algorithm follows from the key alone, and never from what was signed. For a signature to be verified by cosign
// with any key and no further flag, it has to be SHA-256 with RSA and ECDSA keys of every size, and pure Ed25519.
// That is not what cosign itself does when it signs: with P-384 it takes SHA-384 and with Ed25519 the prehashed form,
// neither of which its own verify then finds right. So a [Signer] signs in the first way, and a [Verifier] also takes
// the second.
//
// # Foreign bytes
//
// What comes from a registry or a disk is bounded in size, and is JSON without unknown, repeated or oddly spelled keys
// and with nothing behind it; else two readers could see two digests in it. A payload is read only once its signature
// is found right.
//
// One possibility would be sigstore-go, which reads sigstore bundles. But it needs ten times as many modules for
// certificates and transparency logs, which a place without a network cannot ask, and it does not know payloads.
package signing

import (
	"errors"
	"fmt"
)

var (
	// ErrKey is a key that cannot be used: malformed, too weak, or locked by another password.
	ErrKey = errors.New("unusable key")

	// ErrPassword is a private key that the password does not open, or whose file is damaged. It is ErrKey as well.
	ErrPassword = fmt.Errorf("%w: wrong password, or a damaged file", ErrKey)

	// ErrMalformed is a signature that cannot be read, or is not a signature but something else.
	ErrMalformed = errors.New("malformed signature")

	// ErrNoMatch is a signature that another key made.
	ErrNoMatch = errors.New("no matching signature")
)
