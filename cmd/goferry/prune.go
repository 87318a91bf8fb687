package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func pruneCommand() *cli.Command {
	return &cli.Command{
		Name:      "prune",
		Usage:     "remove what no tag of a layout leads to, or old generations of an unpacked directory",
		ArgsUsage: "LAYOUT|DIR",
		Description: "goferry prune --dry-run oci:/media/stick\n" +
			"goferry prune --keep 1 /opt/go-offline\n\n" +
			"In a layout every blob stays that index.json leads to, by tags, signatures and whatever else other\n" +
			"tools write, and what is less than an hour old; nothing is removed while a goferry writes there.\n" +
			"What was begun and never tagged, such as the first of several volumes, goes too.\n" +
			"In a directory that was unpacked into, the current generation stays and, for \"unpack --rollback\",\n" +
			"the one before it. What killed commands left goes from both.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be removed, and remove nothing"},
			&cli.IntFlag{Name: "keep", Value: 2, Usage: "keep `N` generations of a directory that was unpacked into"},
			formatFlag(),
		},
		Action: prune,
	}
}

func prune(c *cli.Context) error {
	args, err := arguments(c, "LAYOUT|DIR")
	if err != nil {
		return err
	}
	if err := checkFormat(c, "text", "json"); err != nil {
		return err
	}
	if c.Int("keep") < 1 {
		return usagef("--keep is %d: the current generation stays", c.Int("keep"))
	}
	if bundle.IsUnpacked(args[0]) {
		return pruneUnpacked(c, args[0])
	}
	if c.IsSet("keep") {
		return usagef("prune %s: --keep is for a directory that a bundle was unpacked into", args[0])
	}
	return pruneLayout(c, args[0])
}

// pruned is what was removed, in its JSON form.
type pruned struct {
	Tags        []string                  `json:"tags,omitempty"` // of signatures, or their digests
	Blobs       []string                  `json:"blobs,omitempty"`
	Litter      []string                  `json:"litter,omitempty"`
	Generations []bundle.PrunedGeneration `json:"generations,omitempty"`
	Bytes       int64                     `json:"bytes"`
	Young       int                       `json:"young,omitempty"` // blobs that stay for now
}

func pruneLayout(c *cli.Context, arg string) error {
	places, err := parsePlaces(arg)
	if err != nil {
		return err
	}
	p := places[0]
	switch {
	case p.Host != "":
		return withHint(usagef("prune %s: what no tag of a registry leads to is the registry's own to remove", arg), "see its garbage collection; for a directory write oci:DIR")
	case p.Transport == oci.TransportArchive:
		return usagef("prune %s: an archive is written as a whole, with what its tag leads to and nothing else", arg)
	case p.Target() != "":
		return withHint(usagef("prune %s: a layout is pruned as a whole", arg), "goferry prune oci:%s", p.Path)
	}
	store, err := oci.Open(c.Context, p.Reference, oci.Options{})
	if err != nil {
		return explain(err, places)
	}
	defer store.Close()
	did, err := oci.Prune(c.Context, store, c.Bool("dry-run"))
	if errors.Is(err, oci.ErrDigest) || errors.Is(err, oci.ErrNotFound) {
		err = withHint(err, "\"goferry repair --from REF oci:%s\" mends it", p.Path)
	}
	if err != nil {
		return explain(err, places)
	}
	r := pruned{Tags: did.Tags, Young: did.Young}
	for _, b := range did.Blobs {
		r.Blobs = append(r.Blobs, b.Name)
		r.Bytes += b.Size
	}
	for _, dir := range did.Litter {
		r.Litter = append(r.Litter, dir.Name)
		r.Bytes += dir.Size
	}
	return r.print(c, arg, count(len(r.Blobs), "blob"), slices.Concat(r.Tags, r.Blobs, r.Litter))
}

func pruneUnpacked(c *cli.Context, dir string) error {
	old, err := bundle.Prune(c.Context, dir, c.Int("keep"), c.Bool("dry-run"))
	if err != nil {
		return err
	}
	r := pruned{Generations: old}
	var names []string
	for _, g := range old {
		names = append(names, g.Name)
		r.Bytes += g.Size
	}
	return r.print(c, dir, count(len(old), "generation"), names)
}

func (r *pruned) print(c *cli.Context, place, what string, names []string) error {
	if !c.Bool("dry-run") {
		trailOf(c.Context).wrote(place, "")
		trailOf(c.Context).removed(names)
	}
	if c.String("format") == "json" {
		return printJSON(c, r)
	}
	did := "removed"
	if c.Bool("dry-run") {
		did = "would be removed"
	}
	for _, name := range names {
		fmt.Fprintln(c.App.Writer, printable(name))
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s: %s, %s %s\n", place, what, size(r.Bytes), did)
	r.tellYoung(c.App.ErrWriter)
	return err
}

func (r *pruned) tellYoung(w io.Writer) {
	if r.Young > 0 {
		tell(w, "", count(r.Young, "blob")+" that no tag leads to stay for now: less than an hour old, they may be somebody's who is about to tag them")
	}
}
