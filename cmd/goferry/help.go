package main

import (
	"cmp"
	"strings"

	"github.com/urfave/cli/v2"
)

func init() { cli.FlagStringer = flagHelp }

// flagHelp is the line of a flag in the help. The library's own says "(default: false)" of
// every flag without a value, and names those that can be repeated twice over.
func flagHelp(f cli.Flag) string {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return ""
	}
	names := f.Names()
	for i, name := range names {
		names[i] = dashed(name)
	}
	line := strings.Join(names, ", ")
	before, rest, _ := strings.Cut(doc.GetUsage(), "`")
	placeholder, after, quoted := strings.Cut(rest, "`")
	if doc.TakesValue() {
		line += " " + cmp.Or(placeholder, "VALUE")
	}
	line += "\t" + before + placeholder + after
	if value := strings.Trim(doc.GetDefaultText(), `"`); doc.TakesValue() && value != "" && quoted {
		line += " (default: " + value + ")"
	}
	return line
}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name:        "help",
		Usage:       "tell about goferry or one of its commands",
		ArgsUsage:   "[COMMAND]",
		Description: "goferry help\ngoferry help pack",
		Action: func(c *cli.Context) error {
			name := c.Args().First()
			switch {
			case name == "":
				return cli.ShowAppHelp(c)
			case c.App.Command(name) == nil:
				return unknownCommand(c.App, name)
			}
			return cli.ShowCommandHelp(c, name)
		},
	}
}
