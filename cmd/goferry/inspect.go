package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "list what is in a bundle, without fetching its layers",
		ArgsUsage: "REF",
		Description: "goferry inspect oci:bundle\n" +
			"goferry inspect --format json harbor.corp/go/app:v3\n\n" +
			"What is listed is what the bundle, and whoever signed it, say of themselves; \"goferry verify\" proves it.",
		Flags:  append([]cli.Flag{formatFlag(), progressFlag()}, registryFlags()...),
		Action: inspect,
	}
}

func inspect(c *cli.Context) error {
	args, err := arguments(c, "REF")
	if err != nil {
		return err
	}
	j, err := begin(c, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	store, target, err := j.open(c.Context)
	if err != nil {
		return err
	}
	defer store.Close()
	info, err := bundle.Inspect(c.Context, store, target)
	if err != nil {
		return j.explain(err)
	}
	unverified, err := bundle.ListUnverified(c.Context, store, info.Digest.String())
	if err != nil {
		return j.explain(err)
	}
	j.show.close()
	trailOf(c.Context).read(args[0], info.Digest)
	if c.String("format") == "json" {
		return printJSON(c, struct {
			*bundle.Info
			Unverified *bundle.Unverified `json:"unverified"`
		}{info, unverified})
	}
	return errors.Join(printInfo(c.App.Writer, info), printUnverified(c.App.Writer, unverified))
}

// printInfo writes a table a kind. What a bundle says of itself is printed with its control
// characters escaped.
func printInfo(w io.Writer, info *bundle.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	printSummary(t, info)
	fmt.Fprint(t, "\nPLATFORM\tFORM\tTOOLCHAINS\tLAYERS\tSIZE\tMANIFEST\n")
	for _, p := range info.Platforms {
		form := "artifact"
		if p.Runnable {
			form = "image"
		}
		var toolchains []string // their Go versions
		for _, t := range p.Toolchains {
			_, version, _ := strings.Cut(t, "@v0.0.1-")
			toolchains = append(toolchains, strings.TrimSuffix(version, "."+p.OS+"-"+p.Architecture))
		}
		fmt.Fprintf(t, "%s/%s\t%s\t%s\t%d\t%s\t%s\n", printable(p.OS), printable(p.Architecture), form,
			printable(cmp.Or(strings.Join(toolchains, ","), "none")), p.Layers, size(p.Size), p.Digest)
	}
	if len(info.Modules) > 0 {
		fmt.Fprint(t, "\nMODULE\tVERSION\tSIZE\tSUM\tLAYER\n")
	}
	for _, l := range info.Modules {
		path, version, _ := strings.Cut(l.Module, "@")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s%s\n", printable(path), printable(version), size(l.Size), printable(l.Sum), l.Digest, layerNote(l))
	}
	if len(info.Tools) > 0 {
		fmt.Fprint(t, "\nTOOL\tVERSION\tSIZE\tPLATFORM\tLAYER\n")
	}
	for _, l := range info.Tools {
		pkg, version, _ := strings.Cut(l.Tool, "@")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", printable(pkg), printable(version), size(l.Size), printable(strings.Join(l.Platforms, ",")), l.Digest)
	}
	return t.Flush()
}

// printSummary writes what is said of the bundle as a whole.
func printSummary(t io.Writer, info *bundle.Info) {
	fmt.Fprintf(t, "digest\t%s\n", info.Digest)
	for _, key := range slices.Sorted(maps.Keys(info.Annotations)) {
		fmt.Fprintf(t, "%s\t%s\n", printable(key), printable(info.Annotations[key]))
	}
	fmt.Fprintf(t, "total\t%s, %s, %s\n", count(len(info.Modules), "module"), count(info.Blobs, "blob"), size(info.Size))
	if d := info.Delta; d != nil {
		fmt.Fprintf(t, "delta\twithout %s, %s, of %s\n", count(int(d.Blobs), "blob"), size(d.Bytes), baseNames(d))
	}
	if n := len(info.NotInSumDB); n > 0 {
		fmt.Fprintf(t, "not in the checksum database\t%s\n", count(n, "module"))
	}
	for _, c := range info.Cgo {
		fmt.Fprintf(t, "needs a C compiler\t%s\n", printable(fmt.Sprintf("%s (%s)", c.Package, strings.Join(c.Platforms, ", "))))
	}
}

// printUnverified writes what is there of signatures and attestations.
func printUnverified(w io.Writer, u *bundle.Unverified) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(u.Signatures) > 0 {
		fmt.Fprint(t, "\nSIGNATURE (not verified)\tKEY ID\tCLAIMS\n")
	}
	for _, s := range u.Signatures {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Format, printable(cmp.Or(s.KeyHint, "not said")), printable(words(s.Claims)))
	}
	if len(u.Attestations) > 0 {
		fmt.Fprint(t, "\nATTESTATION (not verified)\tSIZE\tBLOB\n")
	}
	for _, a := range u.Attestations {
		fmt.Fprintf(t, "%s\t%s\t%s\n", printable(a.PredicateType), size(a.Size), a.Digest)
	}
	for _, p := range u.Problems {
		fmt.Fprintf(t, "\nnot readable as a signature: %s\n", printable(p))
	}
	return t.Flush()
}

// layerNote is what is unusual about a module, to stand behind its line.
func layerNote(l bundle.LayerInfo) string {
	notes := []string{""}
	if l.Group > 0 {
		notes = append(notes, fmt.Sprintf("one of %d", l.Group))
	}
	if !l.Shared {
		notes = append(notes, "only in "+printable(strings.Join(l.Platforms, ",")))
	}
	if l.NoSumDB {
		notes = append(notes, "not in the checksum database")
	}
	return strings.Join(notes, "  ")
}
