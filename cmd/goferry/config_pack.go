package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

// configFlags are those of pack and lock that goferry.yaml needs.
func configFlags() []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Value: configFile, Usage: "follow `FILE`, which is relative to nothing but where you are"}}
}

// besideConfig are the flags that go together with goferry.yaml: they say how, and not what.
var besideConfig = []string{
	"file", "f", "locked", "quiet", "q", "format", "progress", "rehearse",
	"plain-http", "ca-file", "cert-file", "key-file", "allow-host",
}

// followsConfig says whether pack was asked to do what goferry.yaml says.
func followsConfig(c *cli.Context) bool {
	return c.IsSet("file") || c.Bool("locked") || !c.IsSet("output") && isFile(configFile)
}

// packConfig packs the bundles of goferry.yaml that are named, or all, and copies each to where it goes.
func packConfig(c *cli.Context) error {
	cfg, err := findConfig(c.String("file"))
	if err != nil {
		return err
	}
	if err := onlyBesideConfig(c); err != nil {
		return err
	}
	chosen, err := cfg.choose(c.Args().Slice())
	if err != nil {
		return err
	}
	var locks *lockFile
	if c.Bool("locked") {
		if locks, err = readLock(cfg.lockName()); err != nil {
			return err
		}
	}
	results := make(map[string]json.RawMessage)
	for _, b := range chosen {
		lock, err := locks.of(b)
		if err == nil {
			results[b.name], err = packOne(c, b, lock)
		}
		if err != nil {
			return fmt.Errorf("bundle %s: %w", b.name, err)
		}
		if c.String("format") == "text" {
			if _, err := fmt.Fprintf(c.App.Writer, "%s %s\n", b.name, bytes.TrimSpace(results[b.name])); err != nil {
				return err
			}
		}
	}
	if c.String("format") == "json" {
		return printJSON(c, results)
	}
	return nil
}

func onlyBesideConfig(c *cli.Context) error {
	for _, name := range c.LocalFlagNames() {
		if c.IsSet(name) && !slices.Contains(besideConfig, name) {
			return withHint(usagef("%s: %s says what %s is for", c.Command.Name, c.String("file"), dashed(name)), "%s", besideHint(c, name))
		}
	}
	return nil
}

// besideHint says what to do with a flag of the name, for which goferry.yaml has a word.
func besideHint(c *cli.Context, name string) string {
	output := name == "output" || name == "o"
	switch {
	case output && c.Bool("locked"):
		return "what is locked goes where the file says: pack it without -o, and \"goferry copy\" it from there"
	case output:
		return "leave --file out to pack without the file, or write into it where the bundle goes"
	case c.Bool("locked"):
		return "write it into the file, and lock that with \"goferry lock\""
	case c.IsSet("file"):
		return "write it into the file, or give -o and pack without --file"
	}
	return "write it into the file, or give -o and pack without the file"
}

// packOne packs a bundle and returns what pack prints.
func packOne(c *cli.Context, b bundleConfig, lock *lockedBundle) (json.RawMessage, error) {
	refs, err := b.references()
	if err != nil {
		return nil, err
	}
	flags := b.flags
	if lock != nil {
		flags = lock.flags(b)
	}
	flags = slices.Concat(flags, passed(c), []string{"--output=" + refs[0]})
	result, err := runAs(c, "pack", flags, func(sub *cli.Context) error { return packBundle(sub, lock) })
	if err != nil {
		return nil, err
	}
	for i, ref := range refs[1:] {
		_, err := runAs(c, "copy", append(passed(c), refs[0], ref), copyBundle)
		if sign := b.signFlags(); err == nil && len(sign) > 0 {
			_, err = runAs(c, "sign", slices.Concat(sign, passed(c), []string{ref}), signUnlessArchive)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w (written before: %s)", ref, err, strings.Join(refs[:i+1], ", "))
		}
	}
	return result, nil
}

// signFlags are those of sign that sign the bundle as pack does: under another tag it needs a signature of its own.
func (b *bundleConfig) signFlags() (flags []string) {
	for _, f := range b.flags {
		if key, ok := strings.CutPrefix(f, "--sign-key="); ok {
			flags = append(flags, "--key="+key)
		} else if strings.HasPrefix(f, "--claim=") || strings.HasPrefix(f, "--signature-format=") {
			flags = append(flags, f)
		}
	}
	return flags
}

// signUnlessArchive is sign, but for archives, which are not changed: check has seen to it that they have the tag
// that was signed.
func signUnlessArchive(c *cli.Context) error {
	if strings.HasPrefix(c.Args().First(), "oci-archive:") {
		return nil
	}
	return sign(c)
}

// passed returns the flags of c that both pack and copy have.
func passed(c *cli.Context) (flags []string) {
	for _, name := range []string{"quiet", "plain-http"} {
		if c.Bool(name) {
			flags = append(flags, dashed(name))
		}
	}
	for _, name := range []string{"format", "progress", "ca-file", "cert-file", "key-file"} {
		if v := c.String(name); v != "" {
			flags = append(flags, dashed(name)+"="+v)
		}
	}
	for _, host := range c.StringSlice("allow-host") {
		flags = append(flags, "--allow-host="+host)
	}
	return flags
}

// runAs runs action as if the command had been called with these words, and returns what it prints.
func runAs(c *cli.Context, name string, words []string, action cli.ActionFunc) (json.RawMessage, error) {
	cmd := *c.App.Command(name)
	cmd.Action = action
	stdout := c.App.Writer
	defer func() { c.App.Writer = stdout }()
	var printed bytes.Buffer
	c.App.Writer = &printed
	err := cmd.Run(c, slices.Concat([]string{name}, words)...)
	return printed.Bytes(), err
}

// hold makes the options those of a lock: with its tree heads, and tagged only if that makes the bundle that it says.
func (l *lockedBundle) hold(opts *bundle.PackOptions) {
	if l == nil {
		return
	}
	for _, h := range l.TreeHeads {
		opts.TreeHeads = append(opts.TreeHeads, []byte(h))
	}
	opts.Since = nil // they are among the tree heads
	opts.Expect = l.compare
}

// compare says how a bundle is another one than the lock says.
func (l *lockedBundle) compare(p bundle.Packed) error {
	if p.Descriptor.Digest == l.Digest {
		return nil
	}
	is, want := lockOf(p).lines(), l.lines()
	changes := append(signed("+", onlyIn(is, want)), signed("-", onlyIn(want, is))...)
	const most = 6
	if n := len(changes); n > most {
		changes = append(changes[:most], fmt.Sprintf("and %d more", n-most))
	}
	what := strings.Join(changes, ", ")
	if what == "" {
		what = "the same modules and toolchains, but the project's own files, the tree heads, the layer budget or goferry are others"
	}
	return withHint(fmt.Errorf("%w: it would be %s and is locked as %s: %s", bundle.ErrMismatch, p.Descriptor.Digest, l.Digest, what),
		"if that is right, write it down with \"goferry lock\"")
}

// signed are lines with a sign before each.
func signed(sign string, lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, sign+l)
	}
	return out
}

// onlyIn are the lines of a that b does not have.
func onlyIn(a, b []string) (only []string) {
	for _, line := range a {
		if !slices.Contains(b, line) {
			only = append(only, line)
		}
	}
	return only
}
