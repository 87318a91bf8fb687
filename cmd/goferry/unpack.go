package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func unpackCommand() *cli.Command {
	return &cli.Command{
		Name:      "unpack",
		Usage:     "verify bundles and lay them out for the go command",
		ArgsUsage: "REF… DIR",
		Description: "goferry unpack --key release.pub oci:bundle /opt/go-offline\n" +
			"goferry unpack --check --key release.pub oci:bundle /opt/go-offline\n" +
			"goferry unpack --rollback /opt/go-offline\n\n" +
			"DIR/current/go is the toolchain and DIR/current/mod/cache/download the modules; with\n" +
			"\". DIR/current/env\" the go command uses both and no network. Who signed is asked first, and every\n" +
			"byte is verified before it is used. DIR/current is replaced at once or not at all; what it was\n" +
			"before stays for --rollback, which goes back one step if every file is still right there, and says\n" +
			"which bundle is in use then. The way forward is to unpack again.\n\n" +
			"Several bundles are merged, and refused if they contradict each other. DIR then has what was\n" +
			"named, and with --add what it had before as well. A delta (see \"goferry help receipt\") goes where DIR\n" +
			"has what it builds on.\n\n" +
			"Files of DIR that are no longer what was verified are mended, and foreign ones removed; where all is\n" +
			"right already nothing is written. --check says what would change: modules, toolchains and tools, the\n" +
			"files that are not right, and how much would be read. It asks for the same keys, reads every file of\n" +
			"DIR but no layer of REF, and writes and remembers nothing. It exits with 0 if nothing would change,\n" +
			"and with 1 if something would.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "platform", Aliases: []string{"p"}, Usage: "unpack for `OS/ARCH` (default: this one)"},
			&cli.BoolFlag{Name: "extract", Usage: "also make a read-only GOMODCACHE that many users can share"},
			&cli.BoolFlag{Name: "add", Usage: "keep the bundles that DIR has now, together with the new ones"},
			&cli.BoolFlag{Name: "check", Usage: "say what would change, and write nothing; exit with 1 if something would"},
			&cli.BoolFlag{Name: "rollback", Usage: "go back to what DIR had before the last unpack, one step"},
			formatFlag(), progressFlag(), quietFlag(),
		}, demandFlags(), registryFlags()),
		Action: unpack,
	}
}

func unpack(c *cli.Context) error {
	if c.Bool("rollback") {
		if c.Bool("check") {
			return usagef("unpack: --rollback and --check do not go together")
		}
		return rollback(c)
	}
	refs, dir, err := unpackArguments(c)
	if err != nil {
		return err
	}
	opts, err := unpackOptions(c)
	if err != nil {
		return err
	}
	j, err := begin(c, refs...)
	if err != nil {
		return err
	}
	defer j.show.close()
	opts.Warn = func(text string) { tell(j.show, "warning", text) }
	// What --add keeps was believed when it came: DIR is as much the user's own as what was unpacked.
	believe, err := demand(c, j.show, j.places)
	if err != nil {
		return err
	}
	bundles, closeAll, err := j.verifyAll(c.Context, believe)
	if err != nil {
		return err
	}
	defer closeAll()
	for _, b := range bundles {
		j.tellSigners(c, b.Name, b.Signatures)
	}
	if c.Bool("check") {
		return j.checkUnpack(c, bundles, dir, opts)
	}
	trailOf(c.Context).wrote(dir, "")
	unpacked, err := bundle.Unpack(c.Context, bundles, dir, opts)
	if err == nil {
		err = j.accept(believe, bundles)
	}
	if err != nil {
		return explain(hintBase(err, bundles), append(j.places, place{oci.Reference{Path: dir}, dir}))
	}
	j.show.close()
	return printUnpacked(c, unpacked)
}

func unpackOptions(c *cli.Context) (bundle.UnpackOptions, error) {
	opts := bundle.UnpackOptions{Platform: hostPlatform(), Extract: c.Bool("extract"), Add: c.Bool("add")}
	only, err := platforms(c)
	if len(only) > 1 {
		err = usagef("unpack: %d platforms: a directory is for one", len(only))
	}
	if len(only) == 1 {
		opts.Platform = only[0]
	}
	return opts, err
}

// unpackArguments returns the references and the directory behind them.
func unpackArguments(c *cli.Context) (refs []string, dir string, err error) {
	names := []string{"REF"}
	for range c.NArg() - 2 {
		names = append(names, "REF")
	}
	args, err := arguments(c, append(names, "DIR")...)
	if err != nil {
		return nil, "", err
	}
	last := len(args) - 1
	return args[:last], args[last], nil
}

func printUnpacked(c *cli.Context, u *bundle.Unpacked) error {
	if c.String("format") == "json" {
		return printJSON(c, u)
	}
	toolchain := "no toolchain"
	if u.GoVersion != "" {
		toolchain = u.GoVersion
	}
	tools, of := "", ""
	if u.Tools > 0 {
		tools = ", " + count(u.Tools, "tool")
	}
	if n := len(u.Bundles); n > 1 {
		of = fmt.Sprintf(", of %d bundles", n)
	}
	current := filepath.Join(u.Dir, "current")
	_, err := fmt.Fprintf(c.App.Writer, "%s: %s, %s%s%s\n", current, count(u.Modules, "module"), printable(toolchain), tools, of)
	if err == nil && !c.Bool("quiet") {
		tell(c.App.ErrWriter, "hint", fmt.Sprintf("use it with \". %s\", or see \"goferry env %s\"", filepath.Join(current, "env"), u.Dir))
	}
	return err
}

// rollback asks for no key: what DIR had before was believed when it was unpacked.
func rollback(c *cli.Context) error {
	if err := checkFormat(c, "text", "json"); err != nil {
		return err
	}
	args, err := arguments(c, "DIR")
	if err != nil {
		return err
	}
	trailOf(c.Context).wrote(args[0], "")
	generation, err := bundle.Rollback(c.Context, args[0])
	if errors.Is(err, bundle.ErrNoEarlier) || errors.Is(err, bundle.ErrMismatch) || errors.Is(err, bundle.ErrIncomplete) {
		return withHint(err, "\"goferry unpack REF %s\" makes what a bundle has the current one", args[0])
	}
	if err != nil {
		return err
	}
	now, err := bundle.ReadStatus(c.Context, args[0], false, nil)
	if err != nil {
		return err
	}
	if c.String("format") == "json" {
		return printJSON(c, struct {
			Dir        string                  `json:"dir"`
			Generation string                  `json:"generation"`
			Bundles    []bundle.UnpackedBundle `json:"bundles"`
		}{args[0], generation, now.Bundles})
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: back to %s\n", filepath.Join(args[0], "current"), generation)
	for _, b := range now.Bundles {
		fmt.Fprintln(c.App.Writer, printable("  "+bundleText(b)))
	}
	return err
}
