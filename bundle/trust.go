package bundle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// ErrUntrusted says that something is not signed as it has to be.
var ErrUntrusted = errors.New("not signed as it has to be")

// A Trust says whose signatures are believed, and what they have to say.
type Trust struct {
	Keys      []TrustedKey
	Threshold int               // how many of the keys have to have signed; zero means one
	Claims    map[string]string // that each signature which counts has to have
}

// A TrustedKey is a public key with the name that its owner has here.
type TrustedKey struct {
	Name string
	*signing.Verifier
}

// A Signature is one that was found right.
type Signature struct {
	Key       string            `json:"key"`   // the name of the key
	KeyID     string            `json:"keyID"` // base64 of its SHA-256
	Format    SignatureFormat   `json:"format"`
	Reference string            `json:"reference,omitempty"` // the repository that it was in when it was signed, which is not checked
	Claims    map[string]string `json:"claims,omitempty"`
}

// check returns the signatures of desc that t believes, and fails unless they are enough. A signature of one thing
// under the tag of another is not believed: target is the tag, or the digest, that was asked for.
func (t *Trust) check(ctx context.Context, s oci.Store, desc ocispec.Descriptor, target string) ([]Signature, error) {
	stored, err := readSignatures(ctx, s, desc)
	if err != nil {
		return nil, fmt.Errorf("signatures of %s: %w", desc.Digest, err)
	}
	var good []Signature
	keys := make(map[string]string) // names by ID: one key under two names is one
	var reasons []string
	for _, st := range stored.list {
		sig, err := t.judge(st, desc.Digest, target)
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		good = append(good, sig)
		keys[sig.KeyID] = sig.Key
	}
	for _, err := range stored.problems {
		reasons = append(reasons, err.Error())
	}
	switch want := max(1, t.Threshold); {
	case len(keys) >= want:
		return good, nil
	case len(keys) > 0:
		names := strings.Join(slices.Sorted(maps.Values(keys)), ", ")
		return nil, fmt.Errorf("%w: %s: signed by %d of at least %d keys (%s)%s", ErrUntrusted, desc.Digest, len(keys), want, names, some(reasons))
	case len(reasons) > 0:
		return nil, fmt.Errorf("%w: %s: no matching signature (%d found%s)", ErrUntrusted, desc.Digest, len(reasons), some(reasons))
	}
	return nil, fmt.Errorf("%w: %s: no signature", ErrUntrusted, desc.Digest)
}

// some is the first few of the reasons, each once, for an error.
func some(reasons []string) string {
	const most, longest = 5, 300
	slices.Sort(reasons)
	reasons = slices.Compact(reasons)
	if len(reasons) > most {
		reasons = append(reasons[:most:most], "…")
	}
	for i, r := range reasons {
		if len(r) > longest {
			reasons[i] = strings.ToValidUTF8(r[:longest], "") + "…"
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons, "; ")
}

// judge says which key made a signature, and whether it says what it has to say.
func (t *Trust) judge(st storedSignature, want digest.Digest, target string) (Signature, error) {
	for _, key := range t.Keys {
		said, err := st.Verify(key.Verifier, want)
		if errors.Is(err, signing.ErrNoMatch) {
			continue
		}
		if err != nil {
			return Signature{}, fmt.Errorf("by the key %s: %w", key.Name, err)
		}
		if err := t.checkClaims(said.Claims, want, target); err != nil {
			return Signature{}, fmt.Errorf("by the key %s: %w", key.Name, err)
		}
		return Signature{Key: key.Name, KeyID: key.ID(), Format: st.format, Reference: said.Reference, Claims: said.Claims}, nil
	}
	return Signature{}, errors.New("by another key")
}

func (t *Trust) checkClaims(claims map[string]string, want digest.Digest, target string) error {
	for _, name := range slices.Sorted(maps.Keys(t.Claims)) {
		if got, ok := claims[name]; !ok {
			return fmt.Errorf("it does not say what %s is", name)
		} else if got != t.Claims[name] {
			return fmt.Errorf("it says that %s is %q, not %q", name, got, t.Claims[name])
		}
	}
	if target == want.String() {
		return nil // asked for by digest: nobody can have put another thing in its place
	}
	if index := claims[ClaimIndex]; index != "" && index != want.String() {
		return fmt.Errorf("it is a part of %s, and signed as that", index)
	}
	if tag := claims[ClaimTag]; tag != "" && target != "" && tag != target {
		return fmt.Errorf("it was signed as %q, not as %q", tag, target)
	}
	return nil
}
