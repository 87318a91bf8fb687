package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/signing"
)

func policyCommand() *cli.Command {
	return &cli.Command{
		Name:      "policy",
		Usage:     "check a policy, and explain what it makes of a bundle",
		ArgsUsage: "check --policy FILE [REF]",
		UsageText: "goferry policy check [options] --policy FILE [REF]",
		Description: "goferry policy check --policy policy.json\n" +
			"goferry policy check --policy policy.json harbor.inside/go/app:v3\n\n" +
			"A policy says whose signatures are believed on the isolated side, of what comes from where:\n\n" +
			"   {\n" +
			"     \"version\": 1,\n" +
			"     \"keys\": {\"release\": {\"key\": \"release.pub\", \"notAfter\": \"2027-12-31T00:00:00Z\"}},\n" +
			"     \"rules\": [{\n" +
			"       \"from\": [\"harbor.inside/go/app\", \"oci:*\"],\n" +
			"       \"names\": [\"example.org/app\"],\n" +
			"       \"keys\": [\"release\"], \"threshold\": 1,\n" +
			"       \"claims\": {\"team\": \"build\"},\n" +
			"       \"lowestSequence\": 20261101000000\n" +
			"     }]\n" +
			"   }\n\n" +
			"A file that is named in it is beside it. A * at the end stands for anything; what a rule leaves out\n" +
			"it does not ask for, and one rule that is kept is enough. With a policy goferry also remembers the\n" +
			"highest sequence that it accepted of each name, in $GOFERRY_STATE or ~/.local/state/goferry, and\n" +
			"refuses an older one. \"policy check\" changes nothing. It exits with 3 where verify would.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "policy", Usage: "the policy in `FILE`"},
			&cli.BoolFlag{Name: "allow-rollback", Usage: "as if an older bundle were accepted"},
			formatFlag(), progressFlag(),
		}, registryFlags()...),
		Action: policy,
	}
}

func policy(c *cli.Context) error {
	if c.Args().First() != "check" || c.String("policy") == "" || c.NArg() > 2 {
		return withHint(usagef("policy: it takes check, --policy FILE and maybe a reference"), "goferry policy %s", c.Command.ArgsUsage)
	}
	if c.NArg() == 1 {
		return checkPolicy(c)
	}
	j, err := begin(c, c.Args().Get(1))
	if err != nil {
		return err
	}
	defer j.show.close()
	believe, err := policyTrust(c)
	if err != nil {
		return err
	}
	store, target, err := j.open(c.Context)
	if err != nil {
		return err
	}
	defer store.Close()
	digest, decisions, err := believe(j.places[0]).Explain(c.Context, store, target)
	j.show.close()
	if err != nil {
		return j.explain(err)
	}
	return printDecisions(c, string(digest), decisions)
}

// checkPolicy says whether the policy can be followed, whatever bundle it is for.
func checkPolicy(c *cli.Context) error {
	if err := checkFormat(c, "text", "json"); err != nil {
		return err
	}
	p, err := readPolicy(c)
	if err != nil {
		return err
	}
	if c.String("format") == "json" {
		return printJSON(c, struct {
			Rules int `json:"rules"`
		}{p.Rules()})
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %s, which can be followed\n", c.String("policy"), count(p.Rules(), "rule"))
	return err
}

// printDecisions prints what became of each rule, and fails unless one is kept.
func printDecisions(c *cli.Context, digest string, decisions []bundle.Decision) error {
	result := policyJSON{Digest: digest, Rules: []decisionJSON{}}
	for _, d := range decisions {
		says := decisionJSON{Decision: d, Kept: d.Err == nil}
		if d.Err != nil {
			says.Error = d.Err.Error()
		}
		result.Rules = append(result.Rules, says)
		result.Believed = result.Believed || says.Kept
	}
	var err error
	if !result.Believed {
		err = fmt.Errorf("%w: %s: the policy has no rule that it keeps", bundle.ErrUntrusted, digest)
	}
	if c.String("format") == "json" {
		if printErr := printJSON(c, result); printErr != nil {
			return printErr
		}
		return err
	}
	for _, d := range result.Rules {
		text := d.Rule + ": kept\n" + signedBy(d.Signatures)
		if !d.Kept {
			text = printable(d.Rule+": not kept: "+d.Error) + "\n"
		}
		if _, printErr := fmt.Fprint(c.App.Writer, text); printErr != nil {
			return printErr
		}
	}
	return err
}

// policyJSON is what policy check --format json prints.
type policyJSON struct {
	Digest   string         `json:"digest"`
	Believed bool           `json:"believed"`
	Rules    []decisionJSON `json:"rules"` // those that are for the place
}

type decisionJSON struct {
	bundle.Decision
	Kept  bool   `json:"kept"`
	Error string `json:"error,omitempty"`
}

func readPolicy(c *cli.Context) (*bundle.Policy, error) {
	const maxPolicy = 1 << 20
	file := c.String("policy")
	data, err := readNamed(file, maxPolicy)
	if err != nil {
		return nil, err
	}
	trailOf(c.Context).policy(file, data)
	p, err := bundle.ParsePolicy(data, func(ref string) (*signing.Verifier, error) {
		if !strings.Contains(ref, "://") && !filepath.IsAbs(ref) {
			ref = filepath.Join(filepath.Dir(file), ref)
		}
		return loadVerifier(c.Context, ref)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// policyTrust asks what the policy does.
func policyTrust(c *cli.Context) (believer, error) {
	p, err := readPolicy(c)
	if err != nil {
		return nil, err
	}
	file, err := historyFile()
	if err != nil {
		return nil, err
	}
	history, err := bundle.OpenHistory(file)
	if err != nil {
		return nil, err
	}
	if history.Lost != "" {
		tell(c.App.ErrWriter, "warning", "whether a bundle is older than one that was accepted before cannot be told: "+history.Lost)
	}
	history.Rollback = c.Bool("allow-rollback")
	believe := func(from place) *bundle.Trust { return p.Trust(from.untagged(), time.Now(), history) }
	return trailOf(c.Context).watch(believe), nil
}

// historyFile is where goferry remembers what was accepted: below $GOFERRY_STATE, else where the user's state is.
func historyFile() (string, error) {
	const name = "history.json"
	if dir := os.Getenv("GOFERRY_STATE"); dir != "" {
		return filepath.Join(dir, name), nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "goferry", name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", withHint(fmt.Errorf("no place to remember what was accepted: %w", err), "set GOFERRY_STATE to a directory")
	}
	return filepath.Join(home, ".local", "state", "goferry", name), nil
}
