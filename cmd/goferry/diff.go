package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

func diffCommand() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "list what one bundle has and another has not",
		ArgsUsage: "FROM TO",
		Description: "goferry diff harbor.inside/go/app:v3 oci:bundle:v4\n" +
			"goferry diff go.mod oci:bundle:v4\n\n" +
			"Modules, toolchains and tools that TO has more (+), has not (-) or in another version (~), and how\n" +
			"large the layers are that only TO has. FROM or TO may be a directory that was unpacked into. Where\n" +
			"one is a go.mod file, only what it asks for, and go.sum beside it, is compared: - is what the bundle\n" +
			"TO lacks. Of bundles with programs that load plugins it is told which plugins do not fit. What is\n" +
			"listed is what the bundles say of themselves; \"goferry verify\" proves it.",
		Flags: append([]cli.Flag{
			formatFlag(),
			&cli.BoolFlag{Name: "exit-code", Usage: "exit with 1 if there is a difference"},
		}, registryFlags()...),
		Action: diff,
	}
}

func diff(c *cli.Context) error {
	args, err := arguments(c, "FROM", "TO")
	if err != nil {
		return err
	}
	var refs []string
	for _, arg := range args {
		if !isGoMod(arg) && !bundle.IsUnpacked(arg) {
			refs = append(refs, arg)
		}
	}
	j, err := begin(c, refs...)
	if err != nil {
		return err
	}
	graph := slices.ContainsFunc(args, isGoMod)
	from, err := j.listing(c, args[0], graph)
	if err != nil {
		return err
	}
	to, err := j.listing(c, args[1], graph)
	if err != nil {
		return err
	}
	d := bundle.Diff(from, to)
	if c.String("format") == "json" {
		err = printJSON(c, d)
	} else {
		err = printDifference(c.App.Writer, d, graph)
	}
	if err == nil && c.Bool("exit-code") && !d.Same() {
		err = &answerError{fmt.Errorf("%s and %s differ", args[0], args[1])}
	}
	return err
}

func isGoMod(arg string) bool { return filepath.Base(arg) == "go.mod" && isFile(arg) }

// listing lists what one of diff's arguments has.
func (j *job) listing(c *cli.Context, arg string, graph bool) (*bundle.Listing, error) {
	switch {
	case isGoMod(arg):
		return bundle.ListGoMod(arg)
	case bundle.IsUnpacked(arg):
		return bundle.ListUnpacked(c.Context, arg, graph)
	}
	i := slices.IndexFunc(j.places, func(p place) bool { return p.text == arg })
	store, target, err := j.openPlace(c.Context, j.places[i])
	if err != nil {
		return nil, err
	}
	defer store.Close()
	l, err := bundle.ListBundle(c.Context, store, target, graph)
	if err != nil {
		return nil, j.explain(fmt.Errorf("%s: %w", arg, err))
	}
	return l, nil
}

// writeChanges writes a line for each change, and counts them.
func writeChanges(b *strings.Builder, lists ...[]bundle.Change) (added, removed, changed int) {
	for _, change := range slices.Concat(lists...) {
		from, to := strings.Join(change.From, ", "), strings.Join(change.To, ", ")
		switch {
		case from == "":
			added++
			fmt.Fprintln(b, printable(fmt.Sprintf("+ %s %s", change.Name, to)))
		case to == "":
			removed++
			fmt.Fprintln(b, printable(fmt.Sprintf("- %s %s", change.Name, from)))
		default:
			changed++
			fmt.Fprintln(b, printable(fmt.Sprintf("~ %s %s -> %s", change.Name, from, to)))
		}
	}
	return added, removed, changed
}

// printDifference writes a line for each change, and one that counts them.
func printDifference(w io.Writer, d *bundle.Difference, asked bool) error {
	var b strings.Builder
	added, removed, changed := writeChanges(&b, d.Toolchains, d.Tools, d.Modules)
	switch {
	case !d.Listed() && asked:
		fmt.Fprintln(&b, "all that go.mod asks for is there")
	case d.Same():
		fmt.Fprintln(&b, "no difference")
	default:
		fmt.Fprintf(&b, "%d added, %d removed, %d changed", added, removed, changed)
		if !asked {
			fmt.Fprintf(&b, "; %s more, %s", count(d.AddedBlobs, "layer"), size(d.AddedBytes))
		}
		fmt.Fprintln(&b)
	}
	if p := d.Plugins; p != nil && !p.Fit {
		fmt.Fprintln(&b, "plugins built with FROM do not load into programs built with TO"+misfit(p))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// misfit says why plugins do not load, or which.
func misfit(p *bundle.PluginFit) string {
	const few = 3
	why, changed := ": ", p.Toolchains
	if len(changed) == 0 {
		why, changed = " where both have packages of ", p.Modules
	}
	var list []string
	for _, c := range changed[:min(few, len(changed))] {
		list = append(list, printable(fmt.Sprintf("%s %s -> %s", c.Name, strings.Join(c.From, ", "), strings.Join(c.To, ", "))))
	}
	if more := len(changed) - few; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return why + strings.Join(list, ", ")
}
