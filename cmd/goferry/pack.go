package main

import (
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
)

func packCommand() *cli.Command {
	return &cli.Command{
		Name:      "pack",
		Usage:     "capture what a Go project needs and write it as a bundle",
		ArgsUsage: "-o REF | [NAME…]",
		Description: "goferry pack -o oci:bundle\n" +
			"goferry pack -C ~/src/app --platform linux/amd64,windows/amd64 -o harbor.corp/go/app:v3\n\n" +
			"The modules of the project are taken from the go command's cache or fetched with its\n" +
			"settings, checked against go.sum and the checksum database, and written with a toolchain\n" +
			"for each platform. Nothing of the project or the cache is changed. The digest of the bundle\n" +
			"is printed; the same project and the same --tree-head give the same on any machine.\n\n" +
			"Where there is a goferry.yaml and no -o, the bundles in it are packed, or those that are named.\n" +
			"With --locked they have to be what goferry.lock says, digest for digest.\n\n" +
			"Scope build has what go build, test and vet need; dev also what go mod tidy, go get and\n" +
			"go list -m all need; all has every module of the graph.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "C", Usage: "pack the project in `DIR`; may be repeated (default: where you are)"},
			&cli.StringSliceFlag{Name: "module", Aliases: []string{"m"}, Usage: "pack `PATH@VERSION` with what it needs; may be repeated"},
			localFlag(),
			&cli.StringSliceFlag{Name: "toolchain", Usage: "carry Go `VERSION,…`, \"auto\" (what the project asks for) or \"none\"; may be repeated, the first is GOROOT (default: auto)"},
			&cli.StringSliceFlag{Name: "platform", Aliases: []string{"p"}, Usage: "carry the toolchain for `OS/ARCH,…`; may be repeated (default: this one)"},
			&cli.StringFlag{Name: "scope", Value: string(gomod.Dev), Usage: "how much of the module graph: `build|dev|all`"},
			&cli.StringSliceFlag{Name: "annotation", Usage: "write `NAME=VALUE` into the bundle's annotations and labels; may be repeated"},
			&cli.IntFlag{Name: "layer-budget", Usage: "put modules together in a layer where there would be more than `N` layers, so that any bundle is an image", DefaultText: "a layer for each module"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the bundle to `REF`: oci:DIR[:TAG], oci-archive:FILE[:TAG], HOST/REPO[:TAG]"},
			&cli.StringFlag{Name: "tree-head", Usage: "pack with the checksum database's tree heads of the bundle `REF`, or in a file (default: those packed with here before)"},
			&cli.StringSliceFlag{Name: "since", Usage: "let go commands go on that have used the bundle `REF`, or know the signed tree head in a file; may be repeated"},
			&cli.BoolFlag{Name: "require-sumdb", Usage: "refuse what the checksum database does not cover"},
			&cli.BoolFlag{Name: "rehearse", Usage: "tag the bundle only if the project builds with it and no network, as \"goferry rehearse\" says"},
			&cli.BoolFlag{Name: "locked", Usage: "make the bundles that goferry.lock says, and no others"},
			formatFlag(), progressFlag(), quietFlag(),
		}, toolFlags(), packSignFlags(), configFlags(), registryFlags()),
		Action: pack,
	}
}

func pack(c *cli.Context) error {
	if followsConfig(c) {
		return packConfig(c)
	}
	if _, err := arguments(c); err != nil {
		return err
	}
	return packBundle(c, nil)
}

// packJob makes of the flags what is packed. The caller closes the job's display.
func packJob(c *cli.Context) (bundle.PackOptions, *job, error) {
	opts, err := packOptions(c)
	if err != nil {
		return opts, nil, err
	}
	j, err := beginPack(c)
	if err != nil {
		return opts, nil, err
	}
	if opts.TreeHeads, opts.Since, err = readTreeHeads(c, j); err != nil {
		j.show.close()
		return opts, nil, err
	}
	opts.Progress, opts.Warn = j.show.event, func(text string) { tell(j.show, "warning", text) }
	return opts, j, nil
}

// packBundle packs one bundle. If lock is not nil, it has to be what that says.
func packBundle(c *cli.Context, lock *lockedBundle) error {
	opts, j, err := packJob(c)
	if err != nil {
		return err
	}
	defer j.show.close()
	lock.hold(&opts)
	signer, err := newPackSigner(c, j.places[len(j.places)-1])
	if err != nil {
		return err
	}
	store, tag, err := j.create(c.Context)
	if err != nil {
		return err
	}
	rehearsal := rehearseBeforeTag(c, j.show, &opts)
	packed, err := bundle.Pack(c.Context, store, tag, opts)
	if err == nil {
		err = signer.sign(c.Context, store, tag, packed)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return j.explainPack(err)
	}
	trailOf(c.Context).wrote(c.String("output"), packed.Descriptor.Digest)
	j.show.close()
	tellPacked(c, packed, opts.Platforms)
	return printPacked(c, packed, rehearsal)
}

func (j *job) explainPack(err error) error {
	if _, hinted := errors.AsType[*hintedError](err); errors.Is(err, bundle.ErrMismatch) && !errors.Is(err, gomod.ErrTaken) && !hinted {
		return withHint(err, "see with \"go mod verify\" whether the module cache was changed")
	}
	return j.explain(err)
}

// beginPack makes the job: first are the bundles with tree heads to pack with, last is the one to write.
func beginPack(c *cli.Context) (*job, error) {
	if c.String("output") == "" {
		return nil, withHint(usagef("pack: -o is missing"), "say where the bundle goes, as in \"goferry pack -o oci:bundle\"")
	}
	refs, err := treeHeadRefs(c)
	if err != nil {
		return nil, err
	}
	j, err := begin(c, append(refs, c.String("output"))...)
	if err != nil {
		return nil, err
	}
	if err := checkDestination(j.places[len(j.places)-1]); err != nil {
		j.show.close()
		return nil, err
	}
	return j, nil
}
