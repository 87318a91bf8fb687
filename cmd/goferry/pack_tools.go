package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

// toolPresets are the sets of tools that --tools-for names, in the newest versions.
var toolPresets = map[string][]string{
	// What "Go: Install/Update Tools" has and gopls does not replace, see extension/src/goToolsInformation.ts in
	// github.com/golang/vscode-go.
	"vscode": {
		"golang.org/x/tools/gopls@latest",
		"github.com/go-delve/delve/cmd/dlv@latest",
		"honnef.co/go/tools/cmd/staticcheck@latest",
		"github.com/cweill/gotests/gotests@latest",
		"github.com/josharian/impl@latest",
		"github.com/haya14busa/goplay/cmd/goplay@latest",
		"github.com/fatih/gomodifytags@latest",
	},
}

func toolFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "tool", Usage: "build the command `PKG@VERSION` for each platform; without a version, the one that go.mod selects; may be repeated"},
		&cli.BoolFlag{Name: "tools", Usage: "build the commands that the tool lines of go.mod name"},
		&cli.StringFlag{Name: "tools-for", Usage: "build the commands that `vscode` uses, in their newest versions"},
		&cli.BoolFlag{Name: "tool-source", Usage: "carry the modules of these commands as well, for \"go install\""},
	}
}

// toolOptions sets what the flags say of tools.
func toolOptions(c *cli.Context, opts *bundle.PackOptions) error {
	opts.Tools, opts.ProjectTools, opts.ToolSource = c.StringSlice("tool"), c.Bool("tools"), c.Bool("tool-source")
	for _, t := range opts.Tools {
		if pkg, version, ok := strings.Cut(t, "@"); pkg == "" || ok && version == "" {
			return withHint(usagef("tool %q is no command", t), "write PKG@VERSION, as in golang.org/x/tools/gopls@latest")
		}
	}
	if name := c.String("tools-for"); name != "" {
		preset, ok := toolPresets[name]
		if !ok {
			return usagef("unknown editor %q: it is vscode", name)
		}
		opts.Tools = append(slices.Clone(opts.Tools), preset...)
	}
	if opts.ToolSource && len(opts.Tools) == 0 && !opts.ProjectTools {
		return usagef("--tool-source without --tool, --tools or --tools-for")
	}
	return nil
}
