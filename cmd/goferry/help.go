package main

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

func init() { cli.FlagStringer = flagHelp }

// The help of goferry itself is helpBefore, the groups of commands, and helpBehind.
const (
	helpBefore = `goferry - carry Go modules and toolchains across an air gap

   goferry COMMAND [flags] [arguments]

A bundle is an OCI index whose layers are Go modules and toolchains.

   goferry pack --sign-key release.key -o oci:bundle               where there is a network
   goferry unpack --key release.pub oci:bundle /opt/go-offline     where there is none
`
	helpBehind = `
"goferry help COMMAND" tells about one of them. Flags may stand before and behind the arguments; what is
behind -- is none.

Where bundles are
   oci:DIR[:TAG]             a directory, an OCI image layout; also ./DIR and /DIR
   oci-archive:FILE[:TAG]    the same as one tar file; - for FILE is standard input or output
   HOST/REPO[:TAG][@DIGEST]  a registry, by HTTPS unless --plain-http is given
   Without a tag it is "latest"; where a directory or file has one bundle only, that is read.

Exit codes
   0    done
   1    failed, in a way that has no code of its own
   2    the command line, or a key, policy or goferry.yaml that is none
   3    verification failed: a digest, sum, signature or structure is not what it has to be
   4    no access to a registry, or the wrong password of a key
   5    network
   6    something that a bundle names is not there
   7    no space
   130  interrupted

Environment
   COSIGN_PASSWORD    the password of private keys, also an empty one; else it is asked for
   DOCKER_CONFIG      the directory with the passwords of registries (default: ~/.docker)
   GOFERRY_AUDIT_LOG  the file of --audit-log
   GOFERRY_CACHE      what was fetched and proven (default: goferry in the user's cache directory)
   GOFERRY_STATE      what policies accepted (default: ~/.local/state/goferry)
   SOURCE_DATE_EPOCH  the time that is written into bundles (default: none)
   GOPROXY, GOPRIVATE, GOSUMDB and all else of "go env" say how pack gets modules; HTTPS_PROXY, NO_PROXY and
   SSL_CERT_FILE how registries are reached.

Standard output is for data, standard error for people; --format json and --progress json are for programs.
`
)

// help is the part of the help that names the group's commands.
func (g group) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", g.title)
	for _, c := range g.commands {
		fmt.Fprintf(&b, "   %-18s%s\n", strings.Join(c.Names(), ", "), c.Usage)
	}
	return b.String()
}

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
	text := before + placeholder + after
	if value := strings.Trim(doc.GetDefaultText(), `"`); doc.TakesValue() && value != "" && quoted {
		text += " (default: " + value + ")"
	}
	return line + "\t" + wrapped(text, "\n   \t")
}

// wrapped breaks text into lines of up to flagWidth characters.
func wrapped(text, newline string) string {
	const flagWidth = 72
	var b strings.Builder
	at := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i > 0 && at+1+n > flagWidth:
			b.WriteString(newline)
			at = 0
		case i > 0:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
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
