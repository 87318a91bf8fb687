package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func repairCommand() *cli.Command {
	return &cli.Command{
		Name:      "repair",
		Usage:     "fetch again exactly what is damaged or missing",
		ArgsUsage: "LAYOUT|DIR",
		Description: "goferry repair --from harbor.corp/go/app:v3 oci:/media/stick\n" +
			"goferry repair --from oci:/media/stick2 --from oci-archive:app.tar --dry-run oci:bundle\n\n" +
			"Every blob that the layout's index.json leads to is read, of all its tags and signatures. What is\n" +
			"not there or not right comes from the first of the sources that has it whole; they may be damaged\n" +
			"themselves, and nothing else is read of them. Exits with 0 only if all is whole then, with 6 if\n" +
			"something is whole nowhere. That makes the bytes right for the digests that the layout names;\n" +
			"who made it is for \"goferry verify --key\" to say.\n\n" +
			"Of a directory that was unpacked into, every file of the current generation is read, and another\n" +
			"generation takes its place if one was wrong. What the bundles are is told by the directory.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "from", Usage: "take it from `REF`: a layout, an archive or a registry; may be repeated"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what is damaged, and whether it is there, and write nothing"},
			formatFlag(), progressFlag(), quietFlag(),
		}, registryFlags()),
		Action: repair,
	}
}

func repair(c *cli.Context) error {
	args, err := arguments(c, "LAYOUT|DIR")
	if err != nil {
		return err
	}
	from := c.StringSlice("from")
	if len(from) == 0 && !c.Bool("dry-run") {
		return withHint(usagef("repair: nothing says where whole blobs are"), "goferry repair --from REF %s; or see what is damaged with --dry-run", args[0])
	}
	if bundle.IsUnpacked(args[0]) {
		return repairUnpacked(c, args[0], from)
	}
	j, err := begin(c, append(args, from...)...)
	if err != nil {
		return err
	}
	defer j.show.close()
	if err := checkRepairable(j.places[0]); err != nil {
		return err
	}
	dst, err := j.openDamaged(c.Context)
	if err != nil {
		return err
	}
	defer dst.Close()
	return j.repair(c, args[0], j.places[1:], func(sources []oci.Store) (*bundle.Repaired, error) {
		return bundle.Repair(c.Context, dst, sources, c.Bool("dry-run"), j.show.event)
	})
}

func repairUnpacked(c *cli.Context, dir string, from []string) error {
	j, err := begin(c, from...)
	if err != nil {
		return err
	}
	defer j.show.close()
	return j.repair(c, dir, j.places, func(sources []oci.Store) (*bundle.Repaired, error) {
		return bundle.RepairUnpacked(c.Context, dir, sources, c.Bool("dry-run"), j.show.event)
	})
}

// repair opens the sources, runs what repairs, and prints what it did.
func (j *job) repair(c *cli.Context, what string, from []place, run func([]oci.Store) (*bundle.Repaired, error)) error {
	var sources []oci.Store
	for _, p := range from {
		s, err := oci.Open(c.Context, p.Reference, j.registry)
		if err != nil {
			return j.explain(fmt.Errorf("--from %s: %w", p.text, err))
		}
		defer s.Close()
		trailOf(c.Context).read(p.text, "")
		sources = append(sources, s)
	}
	repaired, err := run(sources)
	j.show.close()
	if errors.Is(err, bundle.ErrIncomplete) {
		err = withHint(err, "name another place that may have it with --from")
	}
	if repaired == nil {
		return j.explain(err)
	}
	if !c.Bool("dry-run") {
		for _, m := range repaired.Mended {
			trailOf(c.Context).wrote(what, m.Digest)
		}
	}
	return j.explain(errors.Join(err, printRepaired(c, what, repaired, err == nil)))
}

// checkRepairable refuses what cannot be mended in its place.
func checkRepairable(p place) error {
	switch {
	case p.Host != "":
		return withHint(usagef("repair %s: a registry keeps a blob that it has, whatever is sent to it", p.text),
			"\"goferry copy SRC %s\" sends what it does not have; what it has and is damaged, its owner has to delete before", p.text)
	case p.Transport == oci.TransportArchive:
		return withHint(usagef("repair %s: an archive is written as a whole", p.text), "write it again with \"goferry copy SRC %s\"", p.text)
	case p.Digest != "":
		return withHint(usagef("repair %s: a layout is repaired as a whole", p.text), "goferry repair oci:%s", p.Path)
	}
	return nil
}

// openDamaged opens the layout that is to be repaired.
func (j *job) openDamaged(ctx context.Context) (oci.Store, error) {
	p := j.places[0]
	dst, err := j.openStore(ctx, p)
	if err != nil {
		return nil, err
	}
	if p.Tag != "" {
		if _, err := dst.Resolve(ctx, p.Tag); err != nil {
			dst.Close()
			return nil, j.explain(err)
		}
	}
	return dst, nil
}

// printRepaired prints JSON whatever was found. The text of what is lost is the error.
func printRepaired(c *cli.Context, what string, r *bundle.Repaired, whole bool) error {
	if c.String("format") == "json" {
		return printJSON(c, r)
	}
	words := repairedWords
	if c.Bool("dry-run") {
		words = repairableWords
	}
	mended, removed := words.print(c.App.Writer, r.Mended)
	if !whole {
		return nil
	}
	end := ": all as their digests say"
	if c.Bool("dry-run") && len(r.Mended) > 0 {
		end = ", with the same command and no --dry-run"
	}
	did := fmt.Sprintf("%d %s", mended, words.mended)
	if removed > 0 {
		did += fmt.Sprintf(", %d %s", removed, words.removed)
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s: %s, %s: %s, %s%s\n",
		what, count(r.Blobs, "blob"), size(r.Bytes), did, size(r.Fetched), end)
	if err == nil && r.Left > 0 {
		_, err = fmt.Fprintf(c.App.Writer, "%s are left out, as of a delta\n", count(r.Left, "blob"))
	}
	return err
}
