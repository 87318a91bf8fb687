package main

import (
	"context"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func receiptCommand() *cli.Command {
	return &cli.Command{
		Name:      "receipt",
		Usage:     "write down what a place has, so that only the rest is sent there",
		ArgsUsage: "REF|DIR",
		Description: "goferry receipt -o have.json harbor.inside/go/app:v3     on the isolated side; then on the other\n" +
			"goferry copy --since have.json oci:bundle:v4 oci:/media/stick/delta\n\n" +
			"REF is a bundle; without a tag it is all that a directory or file of bundles has tagged. DIR is what\n" +
			"\"goferry unpack\" wrote. Only blobs that are there count: those of directories and files are all\n" +
			"hashed, a registry is asked for each, and of DIR the files have to be as they were unpacked.\n" +
			"With --key each bundle has to be signed, and its sequence is written down as well.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE` (default: standard output)"},
			progressFlag(), quietFlag(),
		}, trustFlags(), registryFlags()),
		Action: receipt,
	}
}

func receipt(c *cli.Context) error {
	args, err := arguments(c, "REF|DIR")
	if err != nil {
		return err
	}
	believe, asked, err := trust(c)
	if err != nil {
		return err
	}
	var r *bundle.Receipt
	if bundle.IsUnpacked(args[0]) {
		if asked {
			return usagef("receipt: %s was believed when it was unpacked, and has kept no signatures: leave out --key and the like", args[0])
		}
		r, err = bundle.UnpackedReceipt(c.Context, args[0])
	} else {
		r, err = takeReceipt(c, args[0], believe)
	}
	if err != nil {
		return err
	}
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if name := c.String("output"); name != "" {
		return replaceFile(name, data)
	}
	_, err = c.App.Writer.Write(data)
	return err
}

// takeReceipt lists what a store has.
func takeReceipt(c *cli.Context, ref string, believe believer) (*bundle.Receipt, error) {
	if info, err := os.Stat(ref); err == nil && info.IsDir() {
		if _, err := oci.ParseReference(ref); err != nil {
			return nil, withHint(usagef("receipt: the directory %q was not unpacked into", ref), "for the bundles that it has write oci:%s", ref)
		}
	}
	j, err := beginFormat(c, []string{""}, ref)
	if err != nil {
		return nil, err
	}
	defer j.show.close()
	p := j.places[0]
	store, err := j.openStore(c.Context, p)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	targets, err := receiptTargets(c.Context, store, p)
	if err != nil {
		return nil, j.explain(err)
	}
	r, err := bundle.TakeReceipt(c.Context, store, targets, bundle.ReceiptOptions{
		Trust: believe(p), Progress: j.show.event,
		Warn: func(text string) { tell(j.show, "warning", text) },
	})
	if err != nil {
		return nil, j.explain(err)
	}
	for _, b := range r.Bundles {
		trailOf(c.Context).read(ref, b.Digest)
	}
	return r, nil
}

// receiptTargets are what ref names, or all that has a name.
func receiptTargets(ctx context.Context, store oci.Store, p place) (targets []string, err error) {
	if p.Target() != "" || p.Host != "" {
		target, err := readTarget(ctx, store, p.Reference)
		return []string{target}, err
	}
	for tag, err := range store.Tags(ctx) {
		if err != nil {
			return nil, err
		}
		if !oci.IsReferrerTag(tag) {
			targets = append(targets, tag)
		}
	}
	return targets, nil
}
