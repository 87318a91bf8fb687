package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
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
		Description: "goferry rehearse oci:bundle\n" +
			"goferry rehearse oci:bundle -C ~/src/app -- go test ./...\n\n" +
			"The bundle is verified and unpacked into a temporary directory, and the command run on your\n" +
			"project with the bundle's Go and modules, an empty home and build cache, and no network.\n" +
			"Without a command it is what every project needs: go build, go vet, go test (compiled only),\n" +
			"go mod verify and go list -m all; they change nothing. Exits with 6 where the bundle lacks\n" +
			"what the command asked for, and says how to pack it.",
		Flags: append([]cli.Flag{
			&cli.StringSliceFlag{Name: "C", Usage: "run it in `DIR`; without a command may be repeated (default: where you are)"},
			&cli.BoolFlag{Name: "keep", Usage: "leave the temporary directory behind, and say where it is"},
			formatFlag(), progressFlag(), quietFlag(),
		}, registryFlags()...),
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
	verified, store, err := j.verify(c.Context, bundle.VerifyOptions{Platforms: []gomod.Platform{hostPlatform()}})
	if err != nil {
		return err
	}
	defer store.Close()
	r, err := rehearse.Begin(c.Context, verified, rehearse.Options{Env: os.Environ(), Keep: c.Bool("keep")})
	if err != nil {
		return j.explain(err)
	}
	j.show.close()
	run := rehearsalRun{c: c, r: r}
	run.announce()
	if len(words) > 1 {
		err = run.command(dirs[0], words[1:])
	} else {
		err = run.standard(dirs)
	}
	return errors.Join(err, r.Close())
}

// A rehearsalRun is a rehearsal with what came of it until now.
type rehearsalRun struct {
	c        *cli.Context
	r        *rehearse.Rehearsal
	commands []commandJSON
	missing  []rehearse.Missing
}

// rehearsalJSON is what rehearse --format json prints.
type rehearsalJSON struct {
	Digest    digest.Digest      `json:"digest"`
	GoVersion string             `json:"goVersion,omitempty"`
	Isolation string             `json:"isolation"` // "namespaces" or "settings"
	Dir       string             `json:"dir,omitempty"`
	Commands  []commandJSON      `json:"commands"`
	Missing   []rehearse.Missing `json:"missing"`
}

type commandJSON struct {
	Dir      string   `json:"dir"`
	Module   string   `json:"module,omitempty"`
	Args     []string `json:"args"`
	ExitCode int      `json:"exitCode"`
	Signal   string   `json:"signal,omitempty"`
	Skipped  string   `json:"skipped,omitempty"`
}

func (r *rehearsalRun) json() bool { return r.c.String("format") == "json" }

// announce says what can surprise, and, unless that is too much, how it is done.
func (r *rehearsalRun) announce() {
	w := r.c.App.ErrWriter
	if r.r.Bundle.GoVersion == "" {
		tell(w, "warning", "the bundle has no toolchain: the go command is the one in PATH")
	}
	switch i := r.r.Isolation; {
	case !i.Namespaces && i.Refused != nil:
		tell(w, "warning", fmt.Sprintf("the network is kept away by settings alone, which not every program follows: namespaces are refused (%v)", i.Refused))
	case !i.Namespaces:
		tell(w, "warning", "the network is kept away by settings alone, which not every program follows: namespaces are Linux's")
	case !r.c.Bool("quiet"):
		tell(w, "", "isolation: namespaces with no network but the loopback")
	}
	if r.c.Bool("keep") {
		tell(w, "", "directory: "+r.r.Dir)
	}
}

// command runs the user's command, whose output is the user's.
func (r *rehearsalRun) command(dir string, args []string) error {
	out := r.c.App.Writer
	if r.json() {
		out = r.c.App.ErrWriter
	}
	result, err := r.r.Run(r.c.Context, rehearse.Command{
		Dir: dir, Args: args, Stdin: r.c.App.Reader, Stdout: out, Stderr: r.c.App.ErrWriter,
	})
	if err != nil {
		return err
	}
	r.add(rehearse.Step{Dir: dir, Args: args, Result: result})
	return r.conclude()
}

// standard runs the standard steps and prints a line for each.
func (r *rehearsalRun) standard(dirs []string) error {
	for _, dir := range dirs {
		for step, err := range r.r.Standard(r.c.Context, dir) {
			if err != nil {
				return err
			}
			r.add(step)
			if !r.json() {
				if _, err := fmt.Fprintln(r.c.App.Writer, printable(stepLine(step))); err != nil {
					return err
				}
			}
			for line := range strings.Lines(step.Output) {
				tell(r.c.App.ErrWriter, "", "  "+strings.ReplaceAll(strings.TrimRight(line, "\r\n"), "\t", "    "))
			}
		}
	}
	return r.conclude()
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
}
