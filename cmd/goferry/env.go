package main

import (
	"io"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

func envCommand() *cli.Command {
	shell := "sh"
	if runtime.GOOS == "windows" {
		shell = "powershell"
	}
	return &cli.Command{
		Name:      "env",
		Usage:     "print the environment in which the go command uses an unpacked or served bundle",
		ArgsUsage: "DIR|URL",
		Description: "eval \"$(goferry env /opt/go-offline)\"\n" +
			"goferry env --shell fish /opt/go-offline | source\n\n" +
			"DIR is what \"goferry unpack\" wrote, URL where \"goferry serve\" listens, which is asked.\n" +
			"In PowerShell: goferry env DIR | Out-String | Invoke-Expression",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "ca-file", Usage: "trust the PEM certificates in `FILE` as well, for a URL"},
			&cli.StringFlag{Name: "shell", Value: shell, Usage: "write it for `sh|fish|powershell`"},
		},
		Action: env,
	}
}

func env(c *cli.Context) error {
	args, err := arguments(c, "DIR|URL")
	if err != nil {
		return err
	}
	shell := bundle.Shell(c.String("shell"))
	switch shell {
	case "sh", "fish", "powershell":
	default:
		return usagef("unknown shell %q: it is sh, fish or powershell", c.String("shell"))
	}
	var text string
	if strings.HasPrefix(args[0], "http://") || strings.HasPrefix(args[0], "https://") {
		text, err = serverEnv(c, args[0], shell)
	} else {
		text, err = bundle.Env(args[0], shell)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.App.Writer, text)
	return err
}
