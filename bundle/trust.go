package bundle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// ErrUntrusted says that something is not signed as it has to be.
var ErrUntrusted = errors.New("not signed as it has to be")

// A Trust says whose signatures are believed, and what they have to say. One rule that is kept is enough.
type Trust struct {
	Rules   []Rule
	Now     time.Time // keys are not believed after their NotAfter; zero: they do not end
	History *History  // bundles that are older than one in it are refused; nil: age does not count

	InUse []digest.Digest // of bundles that were accepted and are used on, however old they are

	Decided func(digest.Digest, []Decision) // told what became of each rule for what has the digest; may be nil

	Attestations []string // predicate types; of each there has to be an attestation by a key of the rule that is kept
}

// A Rule is one way to be believed.
type Rule struct {
	Title     string // for people
	Keys      []TrustedKey
	Threshold int               // how many of the keys have to have signed; zero means one
	Claims    map[string]string // that each signature which counts has to have
	Names     []string          // patterns of which one fits the claimed name; nil: any name, or none
	Lowest    uint64            // sequence; zero: any, or none
}

// A TrustedKey is a public key with the name that its owner has here.
type TrustedKey struct {
	Name     string
	NotAfter time.Time // zero: it does not end
	*signing.Verifier
}

func (k TrustedKey) checkTime(now time.Time) error {
	if !k.NotAfter.IsZero() && now.After(k.NotAfter) {
		return fmt.Errorf("which is not believed after %s", k.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// A Signature is one that was found right.
type Signature struct {
	Key       string            `json:"key"`   // the name of the key
	KeyID     string            `json:"keyID"` // base64 of its SHA-256
	Format    SignatureFormat   `json:"format"`
	Reference string            `json:"reference,omitempty"` // the repository that it was in when it was signed, which is not checked
	Claims    map[string]string `json:"claims,omitempty"`
}

// String names the key, for people.
func (s Signature) String() string { return fmt.Sprintf("%s (key ID %.8s…)", s.Key, s.KeyID) }

// Signers names the keys of signatures, each once, for people.
func Signers(signatures []Signature) string {
	var names []string
	for _, s := range signatures {
		if name := s.String(); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// A Decision is what became of one rule.
type Decision struct {
	Rule       string      `json:"rule"`
	Signatures []Signature `json:"signatures,omitempty"` // that count
	Err        error       `json:"-"`                    // nil: the rule is kept

	Attestations []Attestation `json:"attestations,omitempty"` // of the types that were asked for
}

// check returns what t believes of desc, by the first rule that is kept, and fails if none is. A signature of one thing
// under the tag of another is not believed: target is the tag, or the digest, that was asked for.
func (t *Trust) check(ctx context.Context, s oci.Store, desc ocispec.Descriptor, target string) (Decision, error) {
	decisions, err := t.decide(ctx, s, desc, target)
	if err != nil {
		return Decision{}, err
	}
	var errs []error
	for _, d := range decisions {
		if d.Err == nil {
			return d, nil
		}
		err := d.Err
		if d.Rule != "" {
			err = fmt.Errorf("%s: %w", d.Rule, err)
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return Decision{}, fmt.Errorf("%w: %s: no rule is for it", ErrUntrusted, desc.Digest)
	}
	return Decision{}, errors.Join(errs...)
}

// decide judges by each rule.
func (t *Trust) decide(ctx context.Context, s oci.Store, desc ocispec.Descriptor, target string) ([]Decision, error) {
	stored, err := readSignatures(ctx, s, desc)
	if err != nil {
		return nil, fmt.Errorf("signatures of %s: %w", desc.Digest, err)
	}
	var decisions []Decision
	for _, r := range t.Rules {
		d := Decision{Rule: r.Title}
		d.Signatures, d.Err = r.check(stored, desc.Digest, target, t.Now)
		if d.Err == nil && t.History != nil && !slices.Contains(t.InUse, desc.Digest) {
			d.Err = t.History.check(desc.Digest, d.Signatures)
		}
		decisions = append(decisions, d)
	}
	if len(t.Attestations) > 0 && slices.ContainsFunc(decisions, func(d Decision) bool { return d.Err == nil }) {
		if err := t.demandAttestations(ctx, s, desc.Digest, stored, decisions); err != nil {
			return nil, err
		}
	}
	if t.Decided != nil {
		t.Decided(desc.Digest, decisions)
	}
	return decisions, nil
}

// Explain says what becomes of each rule for what target names, and is an error only if that cannot be found out.
func (t *Trust) Explain(ctx context.Context, s oci.Store, target string) (digest.Digest, []Decision, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return "", nil, err
	}
	decisions, err := t.decide(ctx, s, desc, target)
	return desc.Digest, decisions, err
}

func (r *Rule) check(stored *storedSignatures, want digest.Digest, target string, now time.Time) ([]Signature, error) {
	var good []Signature
	keys := make(map[string]string) // names by ID: one key under two names is one
	var reasons []string
	for _, st := range stored.list {
		sig, err := r.judge(st, want, target, now)
		if err != nil {
			reasons = append(reasons, err.Error())
			continue
		}
		good = append(good, sig)
		keys[sig.KeyID] = sig.Key
	}
	reasons = append(reasons, stored.unreadable()...)
	switch enough := max(1, r.Threshold); {
	case len(keys) >= enough:
		return good, nil
	case len(keys) > 0:
		names := strings.Join(slices.Sorted(maps.Values(keys)), ", ")
		return good, fmt.Errorf("%w: %s: signed by %d of at least %s (%s)%s", ErrUntrusted, want, len(keys), plural(enough, "key"), names, some(reasons))
	case len(reasons) > 0:
		return nil, fmt.Errorf("%w: %s: no matching signature (%d found%s%s)", ErrUntrusted, want, len(reasons), some(reasons), stored.besides(r.Keys))
	}
	return nil, fmt.Errorf("%w: %s: no signature", ErrUntrusted, want)
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
func (r *Rule) judge(st storedSignature, want digest.Digest, target string, now time.Time) (Signature, error) {
	for _, key := range r.Keys {
		said, err := st.Verify(key.Verifier, want)
		if errors.Is(err, signing.ErrNoMatch) {
			continue
		}
		if err == nil {
			err = key.checkTime(now)
		}
		if err == nil {
			err = r.checkClaims(said.Claims)
		}
		if err == nil {
			err = checkPlace(said.Claims, want, target)
		}
		if err != nil {
			return Signature{}, fmt.Errorf("by the key %s: %w", key.Name, err)
		}
		return Signature{Key: key.Name, KeyID: key.ID(), Format: st.format, Reference: said.Reference, Claims: said.Claims}, nil
	}
	return Signature{}, errors.New("by another key")
}

func (r *Rule) checkClaims(claims map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(r.Claims)) {
		if got, ok := claims[name]; !ok {
			return fmt.Errorf("it does not say what %s is", name)
		} else if got != r.Claims[name] {
			return fmt.Errorf("it says that %s is %q, not %q", name, got, r.Claims[name])
		}
	}
	name, named := claims[ClaimName]
	if r.Names != nil && !named {
		return fmt.Errorf("it does not say what %s is", ClaimName)
	}
	if r.Names != nil && !slices.ContainsFunc(r.Names, func(p string) bool { return fits(p, name) }) {
		return fmt.Errorf("it is for the name %q, not %s", name, strings.Join(r.Names, " or "))
	}
	if r.Lowest > 0 {
		n, err := parseSequence(claims[ClaimSequence])
		if err != nil {
			return err
		}
		if n < r.Lowest {
			return fmt.Errorf("its sequence %d is below %d", n, r.Lowest)
		}
	}
	return nil
}

// fits says whether pattern, which may have a * at its end for anything, is s.
func fits(pattern, s string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, prefix)
	}
	return pattern == s
}

// checkPlace refuses a signature of something in the place of another thing. What was asked for by its digest has no
// place.
func checkPlace(claims map[string]string, want digest.Digest, target string) error {
	if target == want.String() {
		return nil
	}
	if index := claims[ClaimIndex]; index != "" && index != want.String() {
		return fmt.Errorf("it is a part of %s, and signed as that", index)
	}
	if tag := claims[ClaimTag]; tag != "" && target != "" && tag != target {
		return fmt.Errorf("it was signed as %q, not as %q (sign it under that tag too, or name it by its digest)", tag, target)
	}
	return nil
}
