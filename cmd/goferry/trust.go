package main

import (
	"fmt"
	"io"
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
		&cli.StringFlag{Name: "policy", Category: category, Usage: "believe what the policy in `FILE` says (see \"goferry help policy\")"},
		&cli.BoolFlag{Name: "allow-rollback", Category: category, Usage: "with --policy, accept a bundle that is older than one that was accepted before"},
	}
}

// demandFlags are trustFlags for a command that uses what it verifies.
func demandFlags() []cli.Flag {
	return append(trustFlags(), &cli.BoolFlag{
		Name: insecureFlag, Category: "Signatures", Usage: "use what anybody may have made, without a key or a policy",
	})
}

const insecureFlag = "insecure-ignore-signature"

// A believer says what is asked now of the signatures of what is at a place; nil: nothing.
type believer func(from place) *bundle.Trust

func believeAnything(place) *bundle.Trust { return nil }

// demand makes a value of demandFlags, for what is at the places. To ask nothing of signatures has to be said, and is
// warned of.
func demand(c *cli.Context, stderr io.Writer, places []place) (believer, error) {
	believe, asked, err := trust(c)
	insecure := c.Bool(insecureFlag)
	switch {
	case err != nil:
		return nil, err
	case asked && insecure:
		return nil, usagef("%s: --%s does not go with a key or a policy", c.Command.Name, insecureFlag)
	case !asked && !insecure:
		return nil, withHint(usagef("%s: no key and no policy says who may have made the bundle", c.Command.Name),
			"give --key FILE (or --key-dir, --policy); only where it does not matter who made it, --%s", insecureFlag)
	case insecure:
		trailOf(c.Context).insecure()
		warnUnchecked(stderr, places)
	}
	return believe, nil
}

// warnUnchecked says loudly what is not known.
func warnUnchecked(stderr io.Writer, places []place) {
	for _, p := range places {
		tell(stderr, "warning", "signature not checked: anybody may have made "+p.text)
	}
}

// trust makes a value of trustFlags, and says whether anything is asked of signatures.
func trust(c *cli.Context) (believe believer, asked bool, err error) {
	required, err := claims(c.StringSlice("require"))
	if err != nil {
		return nil, false, err
	}
	refs, err := keyRefs(c)
	if err != nil {
		return nil, false, err
	}
	byKey := len(refs) > 0 || c.IsSet("threshold") || len(required) > 0
	switch {
	case c.String("policy") != "" && byKey:
		return nil, false, usagef("%s: --policy says which keys are believed; it does not go with --key and the like", c.Command.Name)
	case c.String("policy") != "":
		believe, err = policyTrust(c)
		return believe, true, err
	case c.Bool("allow-rollback"):
		return nil, false, usagef("%s: --allow-rollback is of no use without --policy", c.Command.Name)
	case len(refs) == 0 && byKey:
		return nil, false, usagef("%s: --threshold and --require are of no use without --key", c.Command.Name)
	case len(refs) == 0:
		return believeAnything, false, nil
	}
	rule, err := keyRule(c, refs)
	rule.Claims = required
	believe = func(place) *bundle.Trust { return &bundle.Trust{Rules: []bundle.Rule{rule}} }
	return trailOf(c.Context).watch(believe), true, err
}

// keyRule asks for as many of the keys as --threshold says.
func keyRule(c *cli.Context, refs []string) (bundle.Rule, error) {
	rule := bundle.Rule{Threshold: c.Int("threshold")}
	if rule.Threshold < 1 || rule.Threshold > len(refs) {
		return rule, usagef("--threshold is %d, of %d keys", rule.Threshold, len(refs))
	}
	for _, ref := range refs {
		v, err := loadVerifier(c.Context, ref)
		if err != nil {
			return rule, err
		}
		rule.Keys = append(rule.Keys, bundle.TrustedKey{Name: ref, Verifier: v})
	}
	return rule, nil
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

func claims(words []string) (map[string]string, error) { return pairs("claim", words) }

// pairs reads NAME=VALUE words, of which what is one.
func pairs(what string, words []string) (map[string]string, error) {
	found := make(map[string]string)
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return nil, usagef("%s %q is not NAME=VALUE", what, word)
		}
		if other, twice := found[name]; twice && other != value {
			return nil, usagef("%s %q is both %q and %q", what, name, other, value)
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
		text := "signed by: " + s.String() + claimsText(s.Claims)
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
	return ", who says " + words(claims)
}

func words(claims map[string]string) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		words = append(words, name+"="+claims[name])
	}
	return strings.Join(words, " ")
}
