package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

// trustFlags say whose signatures a command believes.
func trustFlags() []cli.Flag {
	const category = "Signatures"
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "key", Category: category, Usage: "believe the public key `KEY`: a file, env://NAME or a KMS URI; may be repeated"},
		&cli.StringFlag{Name: "key-dir", Category: category, Usage: "believe every public key *.pub in `DIR`"},
		&cli.IntFlag{Name: "threshold", Category: category, Value: 1, Usage: "ask for signatures by `N` of the keys"},
		&cli.StringSliceFlag{Name: "require", Category: category, Usage: "ask for the claim `NAME=VALUE` in each signature; may be repeated"},
	}
}

// trust makes a value of trustFlags: nil where no key is named.
func trust(c *cli.Context) (*bundle.Trust, error) {
	claims, err := claims(c.StringSlice("require"))
	if err != nil {
		return nil, err
	}
	refs, err := keyRefs(c)
	if err != nil {
		return nil, err
	}
	t := &bundle.Trust{Threshold: c.Int("threshold"), Claims: claims}
	if len(refs) == 0 {
		if c.IsSet("threshold") || len(claims) > 0 {
			return nil, usagef("%s: --threshold and --require are of no use without --key", c.Command.Name)
		}
		return nil, nil
	}
	if t.Threshold < 1 || t.Threshold > len(refs) {
		return nil, usagef("--threshold is %d, of %d keys", t.Threshold, len(refs))
	}
	for _, ref := range refs {
		v, err := loadVerifier(c.Context, ref)
		if err != nil {
			return nil, err
		}
		t.Keys = append(t.Keys, bundle.TrustedKey{Name: ref, Verifier: v})
	}
	return t, nil
}

// keyRefs returns what --key and --key-dir name.
func keyRefs(c *cli.Context) ([]string, error) {
	refs := c.StringSlice("key")
	dir := c.String("key-dir")
	if dir == "" {
		return refs, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	before := len(refs)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".pub") {
			refs = append(refs, filepath.Join(dir, e.Name()))
		}
	}
	if len(refs) == before {
		return nil, usagef("--key-dir: %q has no *.pub", dir)
	}
	return refs, nil
}

// claims reads NAME=VALUE words.
func claims(words []string) (map[string]string, error) {
	found := make(map[string]string)
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, usagef("claim %q is not NAME=VALUE", word)
		}
		if other, twice := found[name]; twice && other != value {
			return nil, usagef("claim %q is both %q and %q", name, other, value)
		}
		found[name] = value
	}
	return found, nil
}

// signedBy says which keys signed, and what. Each is named once, though it may have signed in two forms.
func signedBy(signatures []bundle.Signature) string {
	if len(signatures) == 0 {
		return "signature: not checked, so nothing is known of who made it (see --key)\n"
	}
	var b strings.Builder
	seen := make(map[string]bool)
	for _, s := range signatures {
		text := "signed by: " + s.Key + claimsText(s.Claims)
		if !seen[text] {
			fmt.Fprintln(&b, printable(text))
		}
		seen[text] = true
	}
	return b.String()
}

func claimsText(claims map[string]string) string {
	if len(claims) == 0 {
		return ", without claims"
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		words = append(words, name+"="+claims[name])
	}
	return ", who says " + strings.Join(words, " ")
}
