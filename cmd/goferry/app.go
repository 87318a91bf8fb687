package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// newApp returns the command line, which reads and writes nothing but the given streams.
func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:                      "goferry",
		HelpName:                  "goferry",
		Usage:                     "carry Go modules and toolchains across an air gap",
		Flags:                     []cli.Flag{cli.HelpFlag}, // the library adds it only together with its own help command
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		Action:                    root,
		HideVersion:               true, // "version" is a command, and -v is too often "verbose"
		HideHelpCommand:           true, // the library's takes any command's first argument "help" for itself
		DisableSliceFlagSeparator: true, // a directory's name may have a comma in it
		EnableBashCompletion:      true,
		ExitErrHandler:            func(*cli.Context, error) {}, // report prints errors and chooses the code
	}
	app.OnUsageError = onUsageError
	app.CustomAppHelpTemplate = helpBefore
	for _, g := range groups() {
		app.Commands = append(app.Commands, g.commands...)
		app.CustomAppHelpTemplate += g.help()
	}
	app.CustomAppHelpTemplate += helpBehind
	app.Commands = append(app.Commands, rehearseChildCommand())
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		c.UsageText = cmp.Or(c.UsageText, strings.TrimSpace("goferry "+c.Name+" [options] "+c.ArgsUsage))
		record(c)
	}
	return app
}

// A group is commands that belong together in the help.
type group struct {
	title    string
	commands []*cli.Command
}

func groups() []group {
	return []group{
		{"Pack, where there is a network", []*cli.Command{packCommand(), initCommand(), lockCommand(), rehearseCommand()}},
		{"Keys and signatures", []*cli.Command{keygenCommand(), signCommand(), attestCommand(), verifyCommand(), policyCommand()}},
		{"Carry", []*cli.Command{copyCommand(), receiptCommand(), repairCommand(), pruneCommand(), loginCommand(), logoutCommand()}},
		{"Look into bundles", []*cli.Command{inspectCommand(), diffCommand(), sbomCommand()}},
		{"Use, where there is none", []*cli.Command{unpackCommand(), statusCommand(), serveCommand(), envCommand(), dockerfileCommand()}},
		{"Others", []*cli.Command{auditCommand(), completionCommand(), versionCommand(), helpCommand()}},
	}
}

// root is what runs where no command was named.
func root(c *cli.Context) error {
	if !c.Args().Present() {
		return cli.ShowAppHelp(c)
	}
	return unknownCommand(c.App, c.Args().First())
}

func unknownCommand(app *cli.App, name string) error {
	var names []string
	for _, c := range app.VisibleCommands() {
		names = append(names, c.Names()...)
	}
	err := usagef("unknown command %q", name)
	if near := nearest(name, names); near != "" {
		return withHint(err, "did you mean \"goferry %s\"?", near)
	}
	return withHint(err, "list the commands with \"goferry help\"")
}

func onUsageError(_ *cli.Context, err error, _ bool) error {
	return usagef("%w", err)
}

// arguments returns exactly as many arguments as there are names, or a usage error that
// says which one is missing or too many.
func arguments(c *cli.Context, names ...string) ([]string, error) {
	args := c.Args().Slice()
	call := strings.TrimSpace(c.Command.Name + " " + c.Command.ArgsUsage)
	hint := fmt.Sprintf("goferry %s; see \"goferry help %s\"", call, c.Command.Name)
	if len(args) < len(names) {
		return nil, withHint(usagef("%s: %s is missing", c.Command.Name, names[len(args)]), "%s", hint)
	}
	if len(args) > len(names) {
		return nil, withHint(usagef("%s: unexpected argument %q", c.Command.Name, args[len(names)]), "%s", hint)
	}
	for i, arg := range args {
		if arg == "" {
			return nil, withHint(usagef("%s: %s is empty", c.Command.Name, names[i]), "%s", hint)
		}
	}
	return args, nil
}
