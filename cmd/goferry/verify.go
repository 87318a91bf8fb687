package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "check who signed a bundle, every byte and every sum of it",
		ArgsUsage: "REF",
		Description: "goferry verify --key release.pub oci:bundle\n" +
			"goferry verify --key-dir keys --threshold 2 --require team=build harbor.corp/go/app:v3\n\n" +
			"With --key the index has to be signed by one of the keys, under the tag that is asked for; else\n" +
			"nothing is known of who made it. Signatures by cosign count as well, attestations do not. What is\n" +
			"signed and not a bundle is checked as far as signatures and digests go. With --attestation one of\n" +
			"the keys has to have attested something of the type, too; what it says is not looked at, and is\n" +
			"written to a file with --predicate-out.\n\n" +
			"Every blob is hashed, the h1: sum of every module and toolchain is computed again from its\n" +
			"files and compared with the bundle's record, its go.sum and the checksum database it carries.\n" +
			"Exits with 3 where something is not what it has to be, with 6 where something is missing.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "platform", Aliases: []string{"p"}, Usage: "check only what `OS/ARCH,…` need; may be repeated (default: everything)"},
			formatFlag(), progressFlag(), quietFlag(),
		}, trustFlags(), attestationFlags(), registryFlags()),
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
	believe, asked, err := attestedTrust(c)
	if err != nil {
		return err
	}
	believed := believe(j.places[0])
	store, target, err := j.open(c.Context)
	if err != nil {
		return err
	}
	defer store.Close()
	report, err := bundle.Examine(c.Context, store, target, bundle.VerifyOptions{Platforms: only, Trust: believed, Progress: j.show.event})
	if errors.Is(err, bundle.ErrNotBundle) && asked && only == nil {
		return j.verifyArtifact(c, store, target, believed)
	}
	j.show.close()
	if err == nil {
		err = believed.Accept(report.Digest, report.Signatures)
	}
	if err == nil {
		err = writePredicates(c, report.Attestations)
	}
	if report != nil {
		trailOf(c.Context).read(args[0], report.Digest)
		err = errors.Join(err, printReport(c, report, err == nil))
	}
	here, volumes := oci.Mounted(store)
	switch p := j.places[0]; {
	case report == nil || len(report.Problems) == 0:
	case report.Delta != nil:
		err = j.nameDelta(report, err)
	case len(here) < volumes:
		err = j.nameAbsent(report, err, here, volumes)
	case p.Transport == oci.TransportLayout:
		err = withHint(err, "\"goferry repair --from REF oci:%s\" fetches just what is damaged, from wherever it is whole", p.Path)
	}
	return j.explain(err)
}

// verifyArtifact verifies what is signed, and is not a bundle.
func (j *job) verifyArtifact(c *cli.Context, store oci.Store, target string, believed *bundle.Trust) error {
	r, err := bundle.VerifyArtifact(c.Context, store, target, believed, j.show.event)
	j.show.close()
	if err == nil {
		err = believed.Accept(r.Digest, r.Signatures)
	}
	if err == nil {
		err = writePredicates(c, r.Attestations)
	}
	if r != nil && c.String("format") == "json" {
		err = errors.Join(err, printJSON(c, r))
	}
	if r != nil {
		trailOf(c.Context).read(j.places[0].text, r.Digest)
	}
	if err != nil || c.String("format") == "json" {
		return j.explain(err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %s, %s: all as their digests say\nnot a goferry bundle: nothing else was checked\n%s",
		r.Digest, count(r.Blobs, "blob"), size(r.Bytes), signedBy(r.Signatures)+attestedBy(r.Attestations))
	return err
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
	tools := ""
	if r.Tools > 0 {
		tools = ", " + count(r.Tools, "tool")
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s: %s, %s, %s, %s%s: all as they have to be\n%s%s",
		r.Digest, count(r.Blobs, "blob"), size(r.Bytes), count(r.Modules, "module"), count(r.Toolchains, "toolchain"), tools, rememberedLine(r.Remembered), provenBy(r))
	return err
}

// rememberedLine says how many sums were not computed again.
func rememberedLine(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("sums proven before on this machine, for the same bytes: %d\n", n)
}

// provenBy says what the sums of a bundle were held against, and what was not proven.
func provenBy(r *bundle.Report) string {
	const most = 10
	var b strings.Builder
	if r.SumDB == "" {
		b.WriteString("no checksum database: the sums are held against nothing but the bundle's record and its go.sum\n")
	} else {
		fmt.Fprintf(&b, "checksum database: %s\n%s", printable(r.SumDB), treeHeadLine(r.TreeHeads))
		b.WriteString(coveredLine(r))
		for i, name := range r.NotInSumDB {
			if i == most {
				fmt.Fprintf(&b, "  and %d more, which --format json lists\n", len(r.NotInSumDB)-most)
				break
			}
			fmt.Fprintf(&b, "  %s\n", printable(name))
		}
	}
	b.WriteString(signedBy(r.Signatures) + attestedBy(r.Attestations))
	return b.String()
}

// coveredLine says how much of a bundle its checksum database speaks for.
func coveredLine(r *bundle.Report) string {
	if len(r.NotInSumDB) == 0 {
		return "covered by it: everything\n"
	}
	return fmt.Sprintf("not covered by it: %s\n", count(len(r.NotInSumDB), "module version"))
}

// treeHeadLine says up to where the checksum database goes, and from where go commands can go on.
func treeHeadLine(sizes []int64) string {
	n := len(sizes) - 1
	switch {
	case n < 0:
		return "" // nothing is covered by it
	case n == 0:
		return fmt.Sprintf("tree head: %d\n", sizes[0])
	case n == 1:
		return fmt.Sprintf("tree head: %d, which leads on from %d\n", sizes[1], sizes[0])
	}
	return fmt.Sprintf("tree head: %d, which leads on from %d others, %d to %d\n", sizes[n], n, sizes[0], sizes[n-1])
}
