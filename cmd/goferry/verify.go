package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "check every byte and every sum of a bundle",
		ArgsUsage: "REF",
		Description: "goferry verify oci:bundle\n" +
			"goferry verify --format json harbor.corp/go/app:v3\n\n" +
			"Every blob is hashed, the h1: sum of every module and toolchain is computed again from its\n" +
			"files and compared with the bundle's record, its go.sum and the checksum database it carries.\n" +
			"Exits with 3 where something is not what it has to be, with 6 where something is missing.",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "platform", Aliases: []string{"p"}, Usage: "check only what `OS/ARCH,…` need; may be repeated (default: everything)"},
			formatFlag(), progressFlag(), quietFlag(),
		}, registryFlags()...),
		Action: verify,
	}
}

func verify(c *cli.Context) error {
	args, err := arguments(c, "REF")
	if err != nil {
		return err
	}
	only, err := platforms(c)
	if err != nil {
		return err
	}
	j, err := begin(c, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	verified, store, err := j.verify(c.Context, bundle.VerifyOptions{Platforms: only})
	if err != nil {
		return err
	}
	defer store.Close()
	report, err := verified.Check(c.Context)
	j.show.close()
	if report != nil {
		err = errors.Join(err, printReport(c, report, err == nil))
	}
	return j.explain(err)
}

// printReport prints JSON whatever was found, and text only where all is well: the text of
// what is not is the error.
func printReport(c *cli.Context, r *bundle.Report, well bool) error {
	if c.String("format") == "json" {
		return printJSON(c, r)
	}
	if !well {
		return nil
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s: %d blobs, %s, %d modules, %d toolchains: all as they have to be\n%s\n",
		r.Digest, r.Blobs, size(r.Bytes), r.Modules, r.Toolchains, provenBy(r))
	return err
}

// provenBy says what the sums of a bundle were held against, and what not.
func provenBy(r *bundle.Report) string {
	switch {
	case r.SumDB == "":
		return "not proven: the bundle has no checksum database; and who made it"
	case len(r.NotInSumDB) > 0:
		return fmt.Sprintf("proven by %s, but for %d modules that it does not cover (see --format json); not proven: who made the bundle", r.SumDB, len(r.NotInSumDB))
	}
	return fmt.Sprintf("proven by %s, all of it; not proven: who made the bundle", r.SumDB)
}
