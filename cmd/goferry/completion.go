package main

import (
	"embed"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// completions ask goferry itself what can follow, except fish's, which the library makes.
//
//go:embed completion
var completions embed.FS

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a script that completes goferry's commands and flags in a shell",
		ArgsUsage: "bash|zsh|fish|powershell",
		Description: "source <(goferry completion bash)\n" +
			"goferry completion fish > ~/.config/fish/completions/goferry.fish",
		Action: completion,
	}
}

func completion(c *cli.Context) error {
	args, err := arguments(c, "SHELL")
	if err != nil {
		return err
	}
	var script string
	switch args[0] {
	case "bash", "zsh", "powershell":
		var data []byte
		data, err = completions.ReadFile("completion/" + args[0])
		script = string(data)
	case "fish":
		script, err = c.App.ToFishCompletion()
	default:
		return usagef("unknown shell %q: it is bash, zsh, fish or powershell", args[0])
	}
	if err != nil {
		return fmt.Errorf("completion for %s: %w", args[0], err)
	}
	_, err = io.WriteString(c.App.Writer, script)
	return err
}
