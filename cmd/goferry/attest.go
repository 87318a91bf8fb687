package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/signing"
)

// predicateTypes are cosign's names for types of attestations.
var predicateTypes = map[string]string{
	"custom":           "https://cosign.sigstore.dev/attestation/v1",
	"cyclonedx":        bundle.PredicateCycloneDX,
	"link":             "https://in-toto.io/Link/v1",
	"openvex":          "https://openvex.dev/ns",
	"slsaprovenance":   "https://slsa.dev/provenance/v0.2",
	"slsaprovenance02": "https://slsa.dev/provenance/v0.2",
	"slsaprovenance1":  bundle.PredicateProvenance,
	"spdx":             "https://spdx.dev/Document",
	"spdxjson":         "https://spdx.dev/Document",
	"vuln":             "https://cosign.sigstore.dev/attestation/vuln/v1",
}

func attestCommand() *cli.Command {
	return &cli.Command{
		Name:      "attest",
		Usage:     "sign what is said of a bundle, and attach it",
		ArgsUsage: "REF",
		Description: "goferry attest --key release.key --type vuln --predicate scan.json oci:bundle\n" +
			"goferry attest --key hashivault://scanner --type https://example.com/review/v1 --predicate review.json harbor.corp/go/app:v3\n\n" +
			"What is in the file becomes an in-toto attestation of the index, as \"cosign attest\" makes it, which\n" +
			"\"goferry verify --attestation\" and \"cosign verify-attestation\" ask for. What REF names has to be\n" +
			"signed in a sigstore bundle before: an attestation hides all other signatures from cosign. The same\n" +
			"key says the same only once. The digest is printed.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "sign with the private key `KEY`: a file, env://NAME or a KMS URI"},
			&cli.StringFlag{Name: "type", Usage: "it is of the `TYPE` " + strings.Join(slices.Sorted(maps.Keys(predicateTypes)), ", ") + ", or what a URI names"},
			&cli.StringFlag{Name: "predicate", Usage: "say what is in `FILE`, which is JSON (for custom and spdx any text)"},
			formatFlag(), quietFlag(),
		}, registryFlags()...),
		Action: attest,
	}
}

func attest(c *cli.Context) error {
	args, err := arguments(c, "REF")
	if err != nil {
		return err
	}
	for _, name := range []string{"key", "type", "predicate"} {
		if c.String(name) == "" {
			return withHint(usagef("attest: --%s is missing", name), "see \"goferry help attest\"")
		}
	}
	predicateType, err := predicateTypeOf(c.String("type"))
	if err != nil {
		return err
	}
	j, err := begin(c, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	if err := j.changeable(); err != nil {
		return err
	}
	predicate, err := readPredicate(c.String("predicate"), c.String("type"))
	if err != nil {
		return err
	}
	signer, err := loadSigner(c, c.String("key"))
	if err != nil {
		return err
	}
	attested, err := j.attest(c.Context, signer, predicateType, predicate)
	if errors.Is(err, bundle.ErrHidden) {
		return withHint(err, "sign it first: goferry sign --key KEY --signature-format both %s", args[0])
	}
	if err != nil {
		return j.explain(err)
	}
	trailOf(c.Context).wrote(args[0], attested.Digest)
	return printAttested(c, attested)
}

// attest attests what is at the job's one place.
func (j *job) attest(ctx context.Context, signer *signing.Signer, predicateType string, predicate []byte) (*bundle.Attested, error) {
	store, target, err := j.openToChange(ctx)
	if err != nil {
		return nil, err
	}
	attested, err := bundle.Attest(ctx, store, target, signer, predicateType, predicate, time.Now())
	return attested, errors.Join(err, store.Close())
}

func printAttested(c *cli.Context, a *bundle.Attested) error {
	if c.String("format") == "json" {
		return printJSON(c, a)
	}
	if !c.Bool("quiet") {
		text := "the key says the same already: nothing was added"
		if a.Added {
			text = fmt.Sprintf("attached an attestation of the type %s, by the key with the SHA-256 %s", a.PredicateType, a.KeyID)
		}
		tell(c.App.ErrWriter, "", text)
	}
	_, err := fmt.Fprintln(c.App.Writer, a.Digest)
	return err
}

// predicateTypeOf returns the URI of a type that the user names.
func predicateTypeOf(name string) (string, error) {
	if uri, ok := predicateTypes[name]; ok {
		return uri, nil
	}
	u, err := url.Parse(name)
	if err != nil || u.Scheme == "" {
		return "", usagef("unknown attestation type %q: it is one of %s, or a URI", name, strings.Join(slices.Sorted(maps.Keys(predicateTypes)), ", "))
	}
	if name == signing.PredicateType {
		return "", withHint(usagef("%q is the type of signatures, not of attestations", name), "for signatures there are \"goferry sign\" and \"verify --key\"")
	}
	return name, nil
}

// readPredicate makes of a file what cosign makes of it for the type: of any text where the type has a place for that,
// and else of a JSON object.
func readPredicate(file, kind string) ([]byte, error) {
	data, err := readSmall(file, signing.MaxAttestation)
	if err != nil {
		return nil, fmt.Errorf("predicate: %w", err)
	}
	switch kind {
	case "custom":
		return json.Marshal(struct{ Data string }{string(data)})
	case "spdx":
		return json.Marshal(string(data))
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("predicate %s is not a JSON object: %w", file, err)
	}
	return data, nil
}
