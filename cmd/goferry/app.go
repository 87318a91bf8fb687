package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// newApp returns the command line, which reads and writes nothing but the given streams.
func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "goferry",
		HelpName:  "goferry",
		Usage:     "carry Go modules and toolchains across an air gap",
		UsageText: "goferry COMMAND [options] [arguments]",
		Description: "A bundle is an OCI index whose layers are Go modules and toolchains.\n\n" +
			"   goferry pack --sign-key release.key -o oci:bundle                where there is a network\n" +
			"   goferry unpack --key release.pub oci:bundle /opt/go-offline      where there is none\n\n" +
			"A bundle is kept in a directory (oci:DIR[:TAG]), a file (oci-archive:FILE[:TAG]) or a\n" +
			"registry (HOST/REPO[:TAG][@DIGEST]).",
		Commands: []*cli.Command{
			packCommand(), lockCommand(), initCommand(), rehearseCommand(), keygenCommand(), signCommand(), attestCommand(), copyCommand(), receiptCommand(), inspectCommand(), sbomCommand(), verifyCommand(), repairCommand(), dockerfileCommand(), diffCommand(),
			unpackCommand(), statusCommand(), serveCommand(), envCommand(), pruneCommand(), policyCommand(),
			auditCommand(), loginCommand(), logoutCommand(), completionCommand(), versionCommand(), helpCommand(), rehearseChildCommand(),
		},
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
	for _, c := range app.Commands {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		record(c)
	}
	return app
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
	hint := fmt.Sprintf("goferry %s %s; see \"goferry help %[1]s\"", c.Command.Name, c.Command.ArgsUsage)
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
