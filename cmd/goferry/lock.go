package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"github.com/goferry/goferry/bundle"
)

const lockHeader = "# Written by \"goferry lock\"; \"goferry pack --locked\" makes these bundles and no others.\n"

// A lockFile is goferry.lock: what the bundles of goferry.yaml came to.
type lockFile struct {
	Version int                      `yaml:"version"` // 1
	Bundles map[string]*lockedBundle `yaml:"bundles"`
}

// A lockedBundle is what one of them came to. Modules and toolchains are "path@version h1:…", one a line, so that a
// change is seen where it is.
type lockedBundle struct {
	Digest     digest.Digest `yaml:"digest"`
	Asked      []string      `yaml:"asked,omitempty"`    // the flags in whose place the following stands
	Go         []string      `yaml:"go,omitempty"`       // versions, GOROOT's first
	Resolved   []string      `yaml:"resolved,omitempty"` // of "modules", in their order
	Tools      []string      `yaml:"tools,omitempty"`    // "package@version"
	Toolchains []string      `yaml:"toolchains,omitempty"`
	Modules    []string      `yaml:"modules,omitempty"`
	TreeHeads  []string      `yaml:"treeHeads,omitempty"` // signed notes of the checksum database
}

func lockCommand() *cli.Command {
	return &cli.Command{
		Name:      "lock",
		Usage:     "write down what goferry.yaml comes to today",
		ArgsUsage: "[NAME…]",
		Description: "goferry lock && goferry pack --locked\n\n" +
			"Every auto, latest and range in goferry.yaml is resolved, all modules are captured and proven as\n" +
			"\"goferry pack\" does it, and goferry.lock is written beside it: versions, \"h1:\" sums, tree heads of the\n" +
			"checksum database and the digest of each bundle, or of those that are named. No bundle is written.\n" +
			"\"goferry pack --locked\" then makes the same bundles on any machine and day, and refuses others.",
		Flags:  slices.Concat(configFlags(), []cli.Flag{progressFlag(), quietFlag()}, registryFlags()),
		Action: lock,
	}
}

func lock(c *cli.Context) error {
	cfg, err := findConfig(c.String("file"))
	if err != nil {
		return err
	}
	chosen, err := cfg.choose(c.Args().Slice())
	if err != nil {
		return err
	}
	locks, err := readLock(cfg.lockName())
	if errors.Is(err, fs.ErrNotExist) || len(chosen) == len(cfg.bundles) {
		locks, err = &lockFile{Version: 1, Bundles: make(map[string]*lockedBundle)}, nil
	}
	if err != nil {
		return err
	}
	for _, b := range chosen {
		if locks.Bundles[b.name], err = lockBundle(c, b); err != nil {
			return fmt.Errorf("bundle %s: %w", b.name, err)
		}
		if _, err := fmt.Fprintf(c.App.Writer, "%s %s\n", b.name, locks.Bundles[b.name].Digest); err != nil {
			return err
		}
	}
	return locks.write(cfg.lockName())
}

// lockBundle finds out what a bundle comes to.
func lockBundle(c *cli.Context, b bundleConfig) (l *lockedBundle, err error) {
	words := slices.Concat(b.flags, passed(c), []string{"--output=" + b.destinations[0]})
	_, err = runAs(c, "pack", words, func(sub *cli.Context) error {
		packed, err := measure(sub)
		l = lockOf(packed)
		l.Asked = b.asked()
		return err
	})
	return l, err
}

// measure finds out what pack would make.
func measure(c *cli.Context) (bundle.Packed, error) {
	opts, j, err := packJob(c)
	if err != nil {
		return bundle.Packed{}, err
	}
	defer j.show.close()
	packed, err := bundle.Measure(c.Context, opts)
	if err != nil {
		return packed, j.explainPack(err)
	}
	return packed, nil
}

// lockName is goferry.lock, or for another file than goferry.yaml a name of its own.
func (cfg *config) lockName() string {
	return strings.TrimSuffix(cfg.file, filepath.Ext(cfg.file)) + ".lock"
}

func lockOf(p bundle.Packed) *lockedBundle {
	l := &lockedBundle{Digest: p.Descriptor.Digest, Resolved: p.Extra, TreeHeads: p.TreeHeads}
	if p.Record == nil {
		return l
	}
	l.Tools = p.Record.ToolNames()
	for _, m := range p.Record.Toolchains {
		l.Toolchains = append(l.Toolchains, m.String()+" "+m.Sum)
	}
	for _, m := range p.Record.Modules {
		line := m.String()
		if m.Sum != "" {
			line += " " + m.Sum
		}
		l.Modules = append(l.Modules, line)
	}
	l.Go = p.Record.GoVersions()
	if i := slices.Index(l.Go, p.Record.GoVersion); i > 0 { // a pack's first is GOROOT
		l.Go = slices.Insert(slices.Delete(l.Go, i, i+1), 0, p.Record.GoVersion)
	}
	return l
}

// lines are all that is locked of a bundle but its digest and tree heads.
func (l *lockedBundle) lines() []string {
	return slices.Concat(l.Tools, l.Toolchains, l.Modules)
}

// flags are those of pack that make the locked bundle.
func (l *lockedBundle) flags(b bundleConfig) []string {
	asked := b.asked()
	flags := slices.DeleteFunc(slices.Clone(b.flags), func(f string) bool {
		return f != "--toolchain=none" && slices.Contains(asked, f)
	})
	for _, m := range l.Resolved {
		flags = append(flags, "--module="+m)
	}
	for _, t := range l.Tools {
		flags = append(flags, "--tool="+t)
	}
	for _, v := range l.Go {
		flags = append(flags, "--toolchain="+v)
	}
	return flags
}

// asked are the flags of pack in whose place those stand that were found out for the lock.
func (b *bundleConfig) asked() (flags []string) {
	for _, f := range b.flags {
		name, _, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		if slices.Contains([]string{"module", "since", "toolchain", "tool", "tools", "tools-for"}, name) {
			flags = append(flags, f)
		}
	}
	return flags
}

// of returns what is locked of a bundle; nil where nothing is to be held.
func (f *lockFile) of(b bundleConfig) (*lockedBundle, error) {
	if f == nil {
		return nil, nil
	}
	l, ok := f.Bundles[b.name]
	if !ok || !slices.Equal(l.Asked, b.asked()) {
		return nil, withHint(usagef("it is not what is locked: goferry.yaml was changed"), "lock it with \"goferry lock %s\"", b.name)
	}
	return l, nil
}

func readLock(name string) (*lockFile, error) {
	data, err := readNamed(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(usagef("nothing is locked: %w", err), "lock it with \"goferry lock\"")
	}
	if err != nil {
		return nil, err
	}
	f := new(lockFile)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil {
		return nil, usagef("%s: %w", name, err)
	}
	if f.Version != 1 {
		return nil, usagef("%s: version %d, this goferry reads 1", name, f.Version)
	}
	for b, l := range f.Bundles {
		if l == nil || l.Digest.Validate() != nil {
			return nil, usagef("%s: bundle %s has no digest", name, b)
		}
	}
	return f, nil
}

// write replaces the file at once.
func (f *lockFile) write(name string) error {
	var b bytes.Buffer
	b.WriteString(lockHeader)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(f); err != nil {
		return err
	}
	return replaceFile(name, b.Bytes())
}
