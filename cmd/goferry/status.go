package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "say which bundles unpacked directories have, and whether their files are still what was verified",
		ArgsUsage: "DIR…",
		Description: "goferry status /opt/go-offline\n" +
			"goferry status --check --format json /srv/build1 /srv/build2\n\n" +
			"Of each directory that was unpacked into: the bundles with their digests, versions and sequences, the\n" +
			"keys that they were found to be signed by, and the toolchains, tools and modules. That is what the\n" +
			"directory says of itself; with --check every file of the current generation is read and proven to be\n" +
			"of these bundles, and what is damaged, missing or foreign is named. Who compares the digests with the\n" +
			"ones that there should be knows then what DIR has. Nothing is written, and no network is asked.\n\n" +
			"Exits with 0 if all is as it was verified, with 3 if a file is damaged or foreign, with 6 if one is\n" +
			"missing, and with 1 where nothing was unpacked; of several the worst, in this order: 3, 6, 1.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "check", Usage: "read every file"},
			formatFlag(), progressFlag(), quietFlag(),
		},
		Action: status,
	}
}

// A statusJSON is one directory in what status --format json prints, which is a list of them.
type statusJSON struct {
	Dir string `json:"dir"`
	*bundle.Status
	Error string `json:"error,omitempty"` // why nothing more is known, or what is wrong with the files
}

func status(c *cli.Context) error {
	if !c.Args().Present() {
		_, err := arguments(c, "DIR")
		return err
	}
	j, err := begin(c)
	if err != nil {
		return err
	}
	defer j.show.close()
	list, errs := []statusJSON{}, []error(nil)
	for _, dir := range c.Args().Slice() {
		s, err := bundle.ReadStatus(c.Context, dir, c.Bool("check"), j.show.event)
		if err == nil {
			err = s.Err()
		}
		said := statusJSON{Dir: dir, Status: s}
		if s != nil {
			said.Dir = s.Dir
			for _, b := range s.Bundles {
				trailOf(c.Context).read(dir, b.Digest)
			}
		}
		if err != nil {
			said.Error = err.Error()
			errs = append(errs, err)
		}
		list = append(list, said)
	}
	j.show.close()
	err = errors.Join(errs...)
	if errors.Is(err, bundle.ErrMismatch) || errors.Is(err, bundle.ErrIncomplete) {
		err = withHint(err, "\"goferry unpack REF DIR\" makes the files right again, and so does \"goferry repair --from REF DIR\"")
	}
	if c.String("format") == "json" {
		return errors.Join(printJSON(c, list), err)
	}
	for _, s := range list {
		if s.Status != nil {
			fmt.Fprint(c.App.Writer, statusText(s.Status))
		}
	}
	return err
}

// statusText is what a person wants to know of a directory.
func statusText(s *bundle.Status) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(printable(fmt.Sprintf(format, args...)) + "\n") }
	line("%s: %s for %s", s.Dir, contentText(s), s.Platform)
	for _, u := range s.Bundles {
		line("  %s", bundleText(u))
	}
	line("  generation %s; %s", s.Generation, cmp.Or(s.Previous, "no other")+" is there for --rollback")
	for _, p := range s.Problems {
		line("  %s", p)
	}
	switch {
	case !s.Checked:
		line("  files: %d, not read: --check does that", s.Files)
	case len(s.Problems) == 0:
		line("  files: %d, all as they were verified", s.Files)
	}
	return b.String()
}

func contentText(s *bundle.Status) string {
	parts := []string{count(s.Modules, "module"), cmp.Or(strings.Join(s.Toolchains, ", "), "no toolchain")}
	if n := len(s.Tools); n > 0 {
		parts = append(parts, count(n, "tool")+" ("+strings.Join(s.Tools, ", ")+")")
	}
	return strings.Join(parts, ", ")
}

// bundleText is what is known of a bundle that was unpacked.
func bundleText(u bundle.UnpackedBundle) string {
	text := identity(u)
	if !u.Time.IsZero() {
		text += " when it was unpacked, " + u.Time.Format(time.RFC3339)
	}
	return text
}

// identity says what a bundle is, and who made it.
func identity(u bundle.UnpackedBundle) string {
	parts := []string{u.Name + " " + u.Digest.String()}
	if title := strings.TrimSpace(u.Title + " " + u.Version); title != "" {
		parts = append(parts, title)
	}
	if u.Sequence > 0 {
		parts = append(parts, fmt.Sprintf("sequence %d", u.Sequence))
	}
	signed := "signature not checked"
	if len(u.Signatures) > 0 {
		signed = "signed by " + bundle.Signers(u.Signatures)
	}
	return strings.Join(append(parts, signed), ", ")
}
