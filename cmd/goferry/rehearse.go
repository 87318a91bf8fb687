package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/rehearse"
)

func rehearseCommand() *cli.Command {
	return &cli.Command{
		Name:      "rehearse",
		Usage:     "run a command with what a bundle has and no network",
		ArgsUsage: "REF [-- COMMAND…]",
		Description: "goferry rehearse --key release.pub oci:bundle\n" +
			"goferry rehearse --key release.pub oci:bundle -C ~/src/app -- go test ./...\n\n" +
			"The bundle is verified and unpacked into a temporary directory, and the command run on your\n" +
			"project with the bundle's Go and modules, an empty home and build cache, and no network.\n" +
			"Without a command it is what every project needs: go build, go vet, go test (compiled only),\n" +
			"go mod verify and go list -m all; they change nothing. Exits with 6 where the bundle lacks\n" +
			"what the command asked for, and says how to pack it.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "C", Usage: "run it in `DIR`; without a command may be repeated (default: where you are)"},
			&cli.BoolFlag{Name: "image", Usage: "run it in the bundle's image, with DIR at /src and nothing else of this machine's (Linux)"},
			&cli.BoolFlag{Name: "keep", Usage: "leave the temporary directory behind, and say where it is"},
			formatFlag(), progressFlag(), quietFlag(),
		}, demandFlags(), registryFlags()),
		Action: rehearseBundle,
	}
}

// rehearseChildCommand is what rehearse starts goferry with.
func rehearseChildCommand() *cli.Command {
	return &cli.Command{
		Name: rehearse.ChildCommand, Hidden: true, ArgsUsage: "DIR",
		Usage: "be the inside of a rehearsal; only \"goferry rehearse\" uses it",
		Action: func(c *cli.Context) error {
			args, err := arguments(c, "DIR")
			if err != nil {
				return err
			}
			return rehearse.Child(c.Context, args[0], os.Stdin, os.Stdout, os.Stderr)
		},
	}
}

func rehearseBundle(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) == 0 || words[0] == "" {
		_, err := arguments(c, "REF")
		return err
	}
	dirs := c.StringSlice("C")
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	if len(words) > 1 && len(dirs) > 1 {
		return usagef("rehearse: %d directories: a command is run in one", len(dirs))
	}
	j, err := begin(c, words[0])
	if err != nil {
		return err
	}
	defer j.show.close()
	believe, err := demand(c, j.show, j.places)
	if err != nil {
		return err
	}
	// What was only tried is not remembered as accepted.
	verified, store, err := j.verify(c.Context, believe, []gomod.Platform{hostPlatform()})
	if err != nil {
		return err
	}
	defer store.Close()
	j.tellSigners(c, words[0], verified.Signatures)
	r, err := rehearse.Begin(c.Context, verified, rehearse.Options{Env: os.Environ(), Image: c.Bool("image"), Keep: c.Bool("keep")})
	if err != nil {
		return j.explain(err)
	}
	j.show.close()
	run := rehearsalRun{r: r, show: j.show, stderr: c.App.ErrWriter, quiet: c.Bool("quiet")}
	run.announce(c)
	if len(words) > 1 {
		err = run.command(c, dirs[0], words[1:])
	} else {
		err = run.standard(c.Context, dirs, func(line string) error { return printStep(c, line) })
	}
	if err == nil && c.String("format") == "json" {
		err = printJSON(c, run.result(c.Bool("keep")))
	}
	if err == nil {
		err = run.failure()
	}
	return errors.Join(err, r.Close())
}

// printStep prints the line of a step, where text is asked for.
func printStep(c *cli.Context, line string) error {
	if c.String("format") == "json" {
		return nil
	}
	_, err := fmt.Fprintln(c.App.Writer, printable(line))
	return err
}

// A rehearsalRun is a rehearsal with what came of it until now.
type rehearsalRun struct {
	r      *rehearse.Rehearsal
	show   display
	stderr io.Writer
	quiet  bool

	commands []commandJSON
	missing  []rehearse.Missing
}

// announce says what can surprise, and, unless that is too much, how it is done.
func (r *rehearsalRun) announce(c *cli.Context) {
	switch none := r.r.Bundle.GoVersion == ""; {
	case none && c.Bool("image"):
		tell(r.stderr, "warning", "the bundle has no toolchain, so its image has no go command")
	case none:
		tell(r.stderr, "warning", "the bundle has no toolchain: the go command is the one in PATH")
	}
	if i := r.r.Isolation; !i.Namespaces {
		tell(r.stderr, "warning", fmt.Sprintf("the network is kept away by settings alone, which not every program follows: %v", i.Refused))
	} else if !r.quiet {
		tell(r.stderr, "", "isolation: namespaces with no network but the loopback")
	}
	if c.Bool("keep") {
		tell(r.stderr, "", "directory: "+r.r.Dir)
	}
}

// command runs the user's command, whose output is the user's.
func (r *rehearsalRun) command(c *cli.Context, dir string, args []string) error {
	stdout := c.App.Writer
	if c.String("format") == "json" {
		stdout = c.App.ErrWriter
	}
	result, err := r.r.Run(c.Context, rehearse.Command{
		Dir: dir, Args: args, Stdin: c.App.Reader, Stdout: stdout, Stderr: c.App.ErrWriter,
	})
	if err != nil {
		return err
	}
	r.add(rehearse.Step{Dir: dir, Args: args, Result: result})
	return nil
}

// standard runs the standard steps and has a line printed for each.
func (r *rehearsalRun) standard(ctx context.Context, dirs []string, print func(line string) error) error {
	for _, dir := range dirs {
		err := r.r.Standard(ctx, dir, func(step rehearse.Step) error {
			r.compare(step)
			r.add(step)
			if err := print(stepLine(step)); err != nil {
				return err
			}
			for line := range strings.Lines(step.Output) {
				tell(r.stderr, "", "  "+strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    "))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// compare tells, once for each main module, if the bundle was not packed for it as it is.
func (r *rehearsalRun) compare(s rehearse.Step) {
	seen := func(c commandJSON) bool { return c.Module == s.Module }
	if s.Module == "" || slices.ContainsFunc(r.commands, seen) {
		return
	}
	switch known, same := r.r.PackedFor(s.Module, s.Dir); {
	case !known:
		tell(r.stderr, "warning", "the bundle was not packed for "+s.Module)
	case !same:
		tell(r.stderr, "warning", "go.mod of "+s.Module+" is not the one that the bundle was packed for")
	}
}

func stepLine(s rehearse.Step) string {
	line := strings.Join(s.Args, " ") + ": "
	if s.Module != "" {
		line = s.Module + ": " + line
	}
	switch {
	case s.Skipped != "":
		return line + "skipped: " + s.Skipped
	case s.Result.OK():
		return line + "ok"
	}
	return line + "FAILED: " + ending(s.Result.ExitCode, s.Result.Signal)
}

// ending says how a command ended.
func ending(code int, signal string) string {
	if signal != "" {
		return "killed by " + signal
	}
	return fmt.Sprintf("exit status %d", code)
}

func (r *rehearsalRun) add(s rehearse.Step) {
	command := commandJSON{Dir: s.Dir, Module: s.Module, Args: s.Args, Skipped: s.Skipped}
	if s.Result != nil {
		command.ExitCode, command.Signal = s.Result.ExitCode, s.Result.Signal
		r.miss(s.Result.Missing)
	}
	r.commands = append(r.commands, command)
	r.show.event(bundle.Event{Stage: "rehearse", Item: strings.Join(s.Args, " "), Items: 1})
}
