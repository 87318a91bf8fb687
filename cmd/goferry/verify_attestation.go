package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

func attestationFlags() []cli.Flag {
	const category = "Signatures"
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "attestation", Category: category, Usage: "ask also for an attestation of the `TYPE` by one of the keys, as \"goferry attest\" has types; may be repeated"},
		&cli.StringFlag{Name: "predicate-out", Category: category, Usage: "write what the attestation says to `FILE`, once everything is verified: JSON, one line for each that says something else"},
	}
}

// attestedTrust is trust that also asks for the attestations that the flags name.
func attestedTrust(c *cli.Context) (believer, bool, error) {
	believe, asked, err := trust(c)
	if err != nil {
		return nil, false, err
	}
	types, err := attestationTypes(c)
	switch {
	case err != nil:
		return nil, false, err
	case len(types) == 0:
		return believe, asked, nil
	case !asked:
		return nil, false, withHint(usagef("verify: --attestation is of no use without a key or a policy"), "say with --key who has to have made it")
	}
	return func(from place) *bundle.Trust {
		t := believe(from)
		t.Attestations = types
		return t
	}, true, nil
}

// attestationTypes returns the types that are asked for.
func attestationTypes(c *cli.Context) ([]string, error) {
	var types []string
	for _, name := range c.StringSlice("attestation") {
		predicateType, err := predicateTypeOf(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(types, predicateType) {
			types = append(types, predicateType)
		}
	}
	file := c.String("predicate-out")
	if file != "" && len(types) != 1 {
		return nil, usagef("verify: --predicate-out is for one --attestation, not %d", len(types))
	}
	return types, checkReplaceable(file)
}

// checkReplaceable refuses a name that is a device's or a link's, which a file would take the place of.
func checkReplaceable(name string) error {
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return usagef("%q is there already, and not a file", name)
	}
	return nil
}

// writePredicates writes what attestations say, each thing once, to the file of --predicate-out: all or nothing.
func writePredicates(c *cli.Context, attestations []bundle.Attestation) error {
	name := c.String("predicate-out")
	if name == "" {
		return nil
	}
	var lines [][]byte
	for _, a := range attestations {
		lines = append(lines, a.Predicate)
	}
	slices.SortFunc(lines, bytes.Compare)
	lines = slices.CompactFunc(lines, bytes.Equal)
	return replaceFile(name, append(bytes.Join(lines, []byte("\n")), '\n'))
}

// attestedBy says which keys attested what. Each is named once, though it may have attested in two forms.
func attestedBy(attestations []bundle.Attestation) string {
	var b strings.Builder
	seen := make(map[string]bool)
	for _, a := range attestations {
		text := fmt.Sprintf("attested by: %s (key ID %.8s…), of the type %s", a.Key, a.KeyID, a.PredicateType)
		if !seen[text] {
			fmt.Fprintln(&b, printable(text))
		}
		seen[text] = true
	}
	return b.String()
}
