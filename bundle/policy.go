package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// ErrPolicy is a policy file that cannot be followed.
var ErrPolicy = errors.New("malformed policy")

// A Policy is what the isolated side believes: one file, which gets there by another way than the bundles. It is JSON,
//
//	{
//	  "version": 1,
//	  "keys": {
//	    "release": {"key": "release.pub", "notAfter": "2027-12-31T00:00:00Z"},
//	    "auditor": {"key": "-----BEGIN PUBLIC KEY-----\n…"}
//	  },
//	  "rules": [
//	    {"from": ["harbor.inside/go/app", "oci:*"], "names": ["example.org/app"], "keys": ["release", "auditor"],
//	     "threshold": 2, "claims": {"team": "build"}, "lowestSequence": 20261101000000},
//	    {"from": ["harbor.inside/tools/*"], "keys": ["release"]}
//	  ]
//	}
//
// A key is a file, beside the policy if it is not an absolute one, or what else --key takes, or the key itself. A
// rule is for what comes from one of these places, and asks that enough of these keys signed it, for one of these
// names (the claim dev.goferry.name), with these claims and at least this sequence; what it leaves out it does not ask
// for, but that one key signed. The end of a place or a name may be a * for anything. A bundle is believed that keeps
// one of the rules for its place.
//
// It has no rules to refuse something: what no rule allows is refused.
type Policy struct {
	rules []policyRule
}

type policyFile struct {
	Version int                  `json:"version"`
	Keys    map[string]policyKey `json:"keys"`
	Rules   []policyRule         `json:"rules"`
}

type policyKey struct {
	Key      string    `json:"key"`
	NotAfter time.Time `json:"notAfter"`
}

type policyRule struct {
	From      []string          `json:"from"`
	Names     []string          `json:"names"`
	KeyNames  []string          `json:"keys"`
	Threshold int               `json:"threshold"`
	Claims    map[string]string `json:"claims"`
	Lowest    uint64            `json:"lowestSequence"`

	keys []TrustedKey
}

const maxPolicy = 1 << 20 // bytes

// ParsePolicy reads a policy file. Load returns the key that a reference in it names.
func ParsePolicy(data []byte, load func(ref string) (*signing.Verifier, error)) (*Policy, error) {
	var file policyFile
	if len(data) > maxPolicy {
		return nil, fmt.Errorf("%w: %d bytes", ErrPolicy, len(data))
	}
	// The first refuses what could be read in two ways, the second what would not be followed.
	err := oci.DecodeStrict(data, &file)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		err = explainWord(dec.Decode(&policyFile{}))
	}
	if err == nil && file.Version != 1 {
		err = fmt.Errorf("version is %d, not 1", file.Version)
	}
	if err == nil && len(file.Rules) == 0 {
		err = errors.New("it has no rules")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	keys := make(map[string]TrustedKey)
	for name, k := range file.Keys {
		if keys[name], err = k.load(name, load); err != nil {
			return nil, fmt.Errorf("%w: key %q: %w", ErrPolicy, name, err)
		}
	}
	for i := range file.Rules {
		if err := file.Rules[i].bind(keys); err != nil {
			return nil, fmt.Errorf("%w: rule %d: %w", ErrPolicy, i+1, err)
		}
	}
	return &Policy{file.Rules}, nil
}

// A WordError is a word that policies do not have.
type WordError struct {
	Word  string
	Known []string // what they have
}

func (e *WordError) Error() string { return fmt.Sprintf("unknown word %q", e.Word) }

var policyWords = []string{
	"version", "keys", "rules", "key", "notAfter", "from", "names", "threshold", "claims", "lowestSequence",
}

// explainWord makes a WordError of what encoding/json, which has no type for it, says of an unknown word.
func explainWord(err error) error {
	if err == nil {
		return nil
	}
	quoted, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	if word, notQuoted := strconv.Unquote(quoted); unknown && notQuoted == nil {
		return &WordError{word, policyWords}
	}
	return err
}

// Rules is how many rules p has.
func (p *Policy) Rules() int { return len(p.rules) }

func (k policyKey) load(name string, load func(string) (*signing.Verifier, error)) (TrustedKey, error) {
	var v *signing.Verifier
	var err error
	switch {
	case k.Key == "":
		err = errors.New("it has no key")
	case strings.HasPrefix(k.Key, "-----BEGIN "):
		v, err = signing.ParseVerifier([]byte(k.Key))
	default:
		v, err = load(k.Key)
	}
	return TrustedKey{Name: name, NotAfter: k.NotAfter, Verifier: v}, err
}

// bind finds the rule's keys, which are all where it names none.
func (r *policyRule) bind(keys map[string]TrustedKey) error {
	names := r.KeyNames
	if names == nil {
		for name := range keys {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	for _, name := range names {
		key, ok := keys[name]
		if !ok {
			return fmt.Errorf("there is no key %q", name)
		}
		r.keys = append(r.keys, key)
	}
	if r.Threshold < 0 || max(1, r.Threshold) > len(r.keys) {
		return fmt.Errorf("threshold is %d, of %d keys", r.Threshold, len(r.keys))
	}
	for _, pattern := range slices.Concat(r.From, r.Names) {
		if pattern == "" || strings.Contains(strings.TrimSuffix(pattern, "*"), "*") {
			return fmt.Errorf("%q: a * may only be at the end", pattern)
		}
	}
	return nil
}

// Trust returns what the policy asks of what comes from a place: "HOST/REPOSITORY", "oci:DIR" or "oci-archive:FILE".
func (p *Policy) Trust(from string, now time.Time, history *History) *Trust {
	t := &Trust{Now: now, History: history}
	for i, r := range p.rules {
		if r.From == nil || slices.ContainsFunc(r.From, func(pattern string) bool { return fits(pattern, from) }) {
			t.Rules = append(t.Rules, Rule{
				Title: fmt.Sprintf("rule %d", i+1), Keys: r.keys, Threshold: r.Threshold, Claims: r.Claims, Names: r.Names, Lowest: r.Lowest,
			})
		}
	}
	return t
}
