package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/signing"
)

const goodPolicy = `{
  "version": 1,
  "keys": {"a": {"key": "a.pub", "notAfter": "2027-01-01T00:00:00Z"}, "b": {"key": "b.pub"}},
  "rules": [
    {"from": ["harbor.inside/go/app", "oci:*"], "names": ["example.com/*"], "keys": ["a", "b"], "threshold": 2,
     "claims": {"team": "build"}, "lowestSequence": 7},
    {"from": ["harbor.inside/tools/*"]}
  ]
}`

// loadCosignKey loads fixtures in place of the keys that a policy names.
func loadCosignKey(t testing.TB) func(ref string) (*signing.Verifier, error) {
	a, b := cosignKey(t, "release.pub"), cosignKey(t, "rotated.pub")
	return func(ref string) (*signing.Verifier, error) {
		switch ref {
		case "a.pub":
			return a.Verifier, nil
		case "b.pub":
			return b.Verifier, nil
		}
		return nil, os.ErrNotExist
	}
}

func TestPolicy(t *testing.T) {
	p, err := ParsePolicy([]byte(goodPolicy), loadCosignKey(t))
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"harbor.inside/go/app": "rule 1", "oci:/media/stick": "rule 1", "harbor.inside/tools/x/y": "rule 2",
		"harbor.inside/go/app2": "", "harbor.inside/tools": "", "harbor.evil/go/app": "",
	} {
		var got []string
		for _, r := range p.Trust(from, signTime, nil).Rules {
			got = append(got, r.Title)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("from %s: %q, want %q", from, got, want)
		}
	}
	r := p.Trust("oci:x", signTime, nil).Rules[0]
	if len(r.Keys) != 2 || r.Threshold != 2 || r.Lowest != 7 || r.Claims["team"] != "build" || r.Keys[0].NotAfter.Year() != 2027 {
		t.Errorf("rule 1 is %+v", r)
	}
	if all := p.Trust("harbor.inside/tools/x", signTime, nil).Rules[0]; len(all.Keys) != 2 || all.Names != nil {
		t.Errorf("rule 2 is %+v, want all keys and any name", all)
	}
}

// badPolicies are what would be followed in another way than it was meant.
var badPolicies = map[string]string{
	"not JSON":             "version: 1",
	"data behind":          goodPolicy + "{}",
	"unknown word":         strings.Replace(goodPolicy, `"names"`, `"name"`, 1),
	"word in another case": strings.Replace(goodPolicy, `"names"`, `"Names"`, 1),
	"word twice":           strings.Replace(goodPolicy, `"threshold": 2`, `"threshold": 2, "threshold": 1`, 1),
	"key twice":            strings.Replace(goodPolicy, `"b": {`, `"a": {`, 1),
	"another version":      strings.Replace(goodPolicy, `"version": 1`, `"version": 2`, 1),
	"no version":           strings.Replace(goodPolicy, `"version": 1,`, ``, 1),
	"no rules":             `{"version": 1, "keys": {"a": {"key": "a.pub"}}}`,
	"no key in a key":      strings.Replace(goodPolicy, `"key": "b.pub"`, ``, 1),
	"no such key":          strings.Replace(goodPolicy, `"keys": ["a", "b"]`, `"keys": ["a", "c"]`, 1),
	"no such file":         strings.Replace(goodPolicy, `b.pub`, `c.pub`, 1),
	"key that is none":     strings.Replace(goodPolicy, `b.pub`, `-----BEGIN PUBLIC KEY-----`, 1),
	"threshold too high":   strings.Replace(goodPolicy, `"threshold": 2`, `"threshold": 3`, 1),
	"threshold below zero": strings.Replace(goodPolicy, `"threshold": 2`, `"threshold": -1`, 1),
	"date that is none":    strings.Replace(goodPolicy, `2027-01-01T00:00:00Z`, `soon`, 1),
	"star in the middle":   strings.Replace(goodPolicy, `harbor.inside/tools/*`, `harbor.*/tools/*`, 1),
	"place that is empty":  strings.Replace(goodPolicy, `"oci:*"`, `""`, 1),
	"rule without keys":    strings.Replace(goodPolicy, `"keys": ["a", "b"], "threshold": 2`, `"keys": []`, 1),
	"sequence below zero":  strings.Replace(goodPolicy, `"lowestSequence": 7`, `"lowestSequence": -7`, 1),
	"too long":             goodPolicy + strings.Repeat(" ", maxPolicy),
}

func TestPolicyRefused(t *testing.T) {
	for name, data := range badPolicies {
		if data == goodPolicy {
			t.Fatalf("%s: nothing is wrong", name)
		}
		if _, err := ParsePolicy([]byte(data), loadCosignKey(t)); !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v, want ErrPolicy", name, err)
		}
	}
}

// An error for an unknown word names all that there are.
func TestPolicyWords(t *testing.T) {
	var words []string
	for _, typ := range []reflect.Type{reflect.TypeFor[policyFile](), reflect.TypeFor[policyKey](), reflect.TypeFor[policyRule]()} {
		for i := range typ.NumField() {
			word := typ.Field(i).Tag.Get("json")
			if word != "" && !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
	}
	if !slices.Equal(words, policyWords) {
		t.Errorf("policyWords = %q, want %q", policyWords, words)
	}
	_, err := ParsePolicy([]byte(badPolicies["unknown word"]), loadCosignKey(t))
	if word, ok := errors.AsType[*WordError](err); !ok || word.Word != "name" {
		t.Errorf("%v does not name the word", err)
	}
}

// FuzzPolicy holds that a policy which is accepted asks for at least one key in every rule.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(goodPolicy))
	for _, data := range badPolicies {
		if len(data) < maxPolicy {
			f.Add([]byte(data))
		}
	}
	load := loadCosignKey(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data, load)
		if err != nil {
			if !errors.Is(err, ErrPolicy) {
				t.Errorf("%v is not ErrPolicy", err)
			}
			return
		}
		for _, r := range p.rules {
			if len(r.keys) == 0 || r.Threshold > len(r.keys) {
				t.Errorf("a rule with %d keys and the threshold %d", len(r.keys), r.Threshold)
			}
		}
	})
}

// TestHistory holds that what is older than what was accepted of the same name is refused, however it was signed, and
// that a history that is lost is told.
func TestHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "history.json")
	key, second := testSigner(t), testSigner(t)
	older, _ := packTest(t, captured(t), t.TempDir())
	sign(t, older, "v1", key, SignOptions{})
	c := captured(t)
	c.Modules = c.Modules[:1]
	newer, _ := packTest(t, c, t.TempDir())
	sign(t, newer, "v1", key, SignOptions{Time: signTime.Add(time.Minute)})
	open := func(rollback bool) *Trust {
		h, err := OpenHistory(file)
		if err != nil {
			t.Fatal(err)
		}
		h.Rollback = rollback
		trust := trustIn(key, second)
		trust.History = h
		return trust
	}
	if open(false).History.Lost == "" {
		t.Error("a history that is not there was not told")
	}
	for _, s := range []VerifyOptions{{Trust: open(false)}, {Trust: open(false)}} {
		v, err := Verify(t.Context(), newer, "v1", s)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Trust.Accept(v.Index.Digest, v.Signatures); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(t.Context(), older, "v1", s); !errors.Is(err, ErrRollback) {
			t.Errorf("an older bundle, right after a newer one was accepted: %v, want ErrRollback", err)
		}
	}
	if _, err := Verify(t.Context(), older, "v1", VerifyOptions{Trust: open(false)}); !errors.Is(err, ErrRollback) {
		t.Errorf("an older bundle: %v, want ErrRollback", err)
	}
	inUse := open(false)
	desc, err := older.Resolve(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	inUse.InUse = []digest.Digest{desc.Digest}
	if _, err := Verify(t.Context(), older, "v1", VerifyOptions{Trust: inUse}); err != nil {
		t.Errorf("an older bundle that is in use: %v", err)
	}
	// A signature that somebody added today does not make it a new one.
	sign(t, older, "v1", second, SignOptions{Time: signTime.Add(time.Hour)})
	if _, err := Verify(t.Context(), older, "v1", VerifyOptions{Trust: open(false)}); !errors.Is(err, ErrRollback) {
		t.Errorf("an older bundle that was signed again: %v, want ErrRollback", err)
	}
	if _, err := Verify(t.Context(), older, "v1", VerifyOptions{Trust: open(true)}); err != nil {
		t.Errorf("an older bundle, allowed: %v", err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if open(false).History.Lost == "" {
		t.Error("a damaged history was not told")
	}
}
