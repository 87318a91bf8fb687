package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/goferry/goferry/oci"
)

// configFile is the file that says which bundles a repository has.
const configFile = "goferry.yaml"

// maxConfig bounds goferry.yaml and goferry.lock, in bytes. A bundle of 1,000 modules has 100 KiB in the latter.
const maxConfig = 16 << 20

// A config is what goferry.yaml says.
type config struct {
	file    string
	bundles []bundleConfig // in the order of the file
}

// A bundleConfig is one bundle: the flags that pack is to be run with, and where the result goes.
type bundleConfig struct {
	name         string
	flags        []string
	tags         []string
	destinations []string
}

// A configKey is a word that a bundle in goferry.yaml may have.
type configKey struct {
	name  string
	flag  string // of pack, which the value or each of the values is given to; "" for what is no flag
	kind  string // "text", "list", "switch", "number" or "mapping"
	about string
}

// configKeys are those words. All but the last two are flags of pack.
var configKeys = []configKey{
	{"projects", "C", "list", "directories with a go.mod or go.work file"},
	{"modules", "module", "list", "modules that no project asks for, as PATH@VERSION"},
	{"local", "local", "list", "directories to make modules of that can be fetched from nowhere, as DIR@VERSION"},
	{"toolchains", "toolchain", "list", "versions of Go, or auto, or none; the first is GOROOT"},
	{"tools", "tool", "list", "commands to build for each platform: PKG@VERSION, or PKG in the version that go.mod selects"},
	{"projectTools", "tools", "switch", "build the commands that the tool lines of go.mod name, too"},
	{"toolsFor", "tools-for", "text", "build the commands that an editor uses: vscode"},
	{"toolSource", "tool-source", "switch", "carry the modules of these commands as well"},
	{"platforms", "platform", "list", "what there is a toolchain for, as OS/ARCH"},
	{"scope", "scope", "text", "how much of the module graph: build, dev or all"},
	{"layerBudget", "layer-budget", "number", "put modules together in a layer where there would be more layers"},
	{"since", "since", "list", "bundles whose go commands are to go on with this one"},
	{"requireSumDB", "require-sumdb", "switch", "refuse what the checksum database does not cover"},
	{"signKey", "sign-key", "text", "the private key that signs: a file, env://NAME or a KMS URI"},
	{"signatureFormat", "signature-format", "text", "sig, bundle or both"},
	{"annotations", "annotation", "mapping", "what else index, manifests and image labels say, such as org.opencontainers.image.version"},
	{"claims", "claim", "mapping", "what else the signature says"},
	{"attest", "attest", "switch", "attach a signed provenance and bill of materials: true, unless it says false"},
	{"tags", "", "list", "what the bundle is tagged"},
	{"destinations", "", "list", "where it goes: oci:DIR, oci-archive:FILE or HOST/REPO; a tag of its own goes before tags"},
}

// findConfig reads goferry.yaml, or the file that was named instead, and makes the directory that it is in the
// current one, as what it names is relative to it.
func findConfig(name string) (*config, error) {
	data, err := readNamed(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(usagef("there is no %s", name), "make one with \"goferry init\"")
	}
	if err != nil {
		return nil, err
	}
	cfg, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	cfg.file = filepath.Base(name)
	return cfg, os.Chdir(filepath.Dir(name))
}

func parseConfig(data []byte) (*config, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); err == io.EOF {
		return nil, usagef("it is empty")
	} else if err != nil {
		return nil, usagef("%w", err)
	}
	if err := dec.Decode(new(yaml.Node)); err != io.EOF {
		return nil, usagef("more than one document")
	}
	cfg := new(config)
	parts := make(map[string]*yaml.Node) // "defaults" may stand behind "bundles"
	err := eachKey(doc.Content[0], "the file", []string{"defaults", "bundles"}, func(key string, value *yaml.Node) error {
		parts[key] = value
		return nil
	})
	if err == nil && parts["bundles"] != nil {
		err = eachKey(parts["bundles"], "bundles", nil, func(name string, value *yaml.Node) error {
			b := bundleConfig{name: name}
			err := b.parse(value, parts["defaults"])
			cfg.bundles = append(cfg.bundles, b)
			return err
		})
	}
	if err == nil && len(cfg.bundles) == 0 {
		err = usagef("it names no bundle")
	}
	return cfg, err
}

// eachKey calls do for the words of a mapping, which have to be among known, if that says any.
func eachKey(node *yaml.Node, what string, known []string, do func(string, *yaml.Node) error) error {
	node = resolved(node)
	if node.Kind != yaml.MappingNode {
		return usagef("line %d: %s: want names with values", node.Line, what)
	}
	seen := make(map[string]bool)
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		if seen[key.Value] {
			return usagef("line %d: %q stands twice", key.Line, key.Value)
		}
		seen[key.Value] = true
		if known != nil && !slices.Contains(known, key.Value) {
			err := usagef("line %d: unknown key %q", key.Line, key.Value)
			if near := nearest(key.Value, known); near != "" {
				return withHint(err, "did you mean %q?", near)
			}
			return withHint(err, "%s has %s", what, strings.Join(known, ", "))
		}
		if err := do(key.Value, node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// resolved is what an alias stands for.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// parse reads a bundle. What it does not say, the defaults do.
func (b *bundleConfig) parse(node, defaults *yaml.Node) error {
	var names []string
	for _, k := range configKeys {
		names = append(names, k.name)
	}
	values := make(map[string]*yaml.Node)
	for _, n := range []*yaml.Node{defaults, node} {
		if n == nil {
			continue
		}
		err := eachKey(n, "a bundle", names, func(key string, value *yaml.Node) error {
			values[key] = resolved(value)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, k := range configKeys {
		if value, ok := values[k.name]; ok {
			if err := b.set(k, value); err != nil {
				return fmt.Errorf("bundle %s: %w", b.name, err)
			}
		}
	}
	return b.check()
}

func (b *bundleConfig) set(k configKey, node *yaml.Node) error {
	values, err := k.values(node)
	if err != nil {
		return err
	}
	switch k.name {
	case "tags":
		b.tags = values
	case "destinations":
		b.destinations = values
	}
	for _, v := range values {
		if k.flag != "" {
			b.flags = append(b.flags, dashed(k.flag)+"="+v)
		}
	}
	return nil
}

// values returns what is given to the flag of a key, one after the other.
func (k configKey) values(node *yaml.Node) (values []string, err error) {
	wrong := usagef("line %d: %s: want a %s", node.Line, k.name, k.kind)
	switch k.kind {
	case "list":
		if err := node.Decode(&values); err != nil || node.Kind != yaml.SequenceNode {
			return nil, wrong
		}
	case "text":
		var text string
		if err := node.Decode(&text); err != nil || node.Kind != yaml.ScalarNode {
			return nil, wrong
		}
		values = []string{text}
	case "switch":
		var on bool
		if err := node.Decode(&on); err != nil {
			return nil, withHint(wrong, "write true or false")
		}
		values = []string{fmt.Sprint(on)}
	case "number":
		var n int
		if err := node.Decode(&n); err != nil {
			return nil, wrong
		}
		values = []string{strconv.Itoa(n)}
	case "mapping":
		err = eachKey(node, k.name, nil, func(name string, value *yaml.Node) error {
			text := resolved(value)
			if text.Kind != yaml.ScalarNode || text.ShortTag() == "!!null" {
				return withHint(usagef("line %d: %s: %s has no text", value.Line, k.name, name), "write \"\" for an empty one")
			}
			values = append(values, name+"="+text.Value)
			return nil
		})
	}
	if slices.Contains(values, "") {
		return nil, usagef("line %d: %s: an empty value", node.Line, k.name)
	}
	return values, err
}

// check finds what is missing or does not go together, and says nothing of what pack checks.
func (b *bundleConfig) check() error {
	if len(b.destinations) == 0 {
		return withHint(usagef("bundle %s: destinations is missing", b.name), "say where it goes, as in \"destinations: [oci:bundle]\"")
	}
	refs, err := b.references()
	if err != nil {
		return fmt.Errorf("bundle %s: %w", b.name, err)
	}
	places, err := parsePlaces(refs...)
	for _, p := range places {
		if p.Transport == oci.TransportArchive && p.Tag != places[0].Tag {
			return withHint(usagef("bundle %s: %s: an archive has the first tag, which is the one that is signed", b.name, p.text),
				"write %s:%s", p.Path, places[0].Tag)
		}
	}
	return err
}

// references returns where the bundle goes: each destination with each tag.
func (b *bundleConfig) references() (refs []string, err error) {
	for _, d := range b.destinations {
		places, err := parsePlaces(d)
		if err != nil {
			return nil, err
		}
		if places[0].Tag != "" || len(b.tags) == 0 {
			refs = append(refs, d)
			continue
		}
		for _, tag := range b.tags {
			refs = append(refs, d+":"+tag)
		}
	}
	_, err = parsePlaces(refs...)
	return refs, err
}

// choose returns the bundles of those names, or all where there is none.
func (cfg *config) choose(names []string) ([]bundleConfig, error) {
	if len(names) == 0 {
		return cfg.bundles, nil
	}
	var all []string
	for _, b := range cfg.bundles {
		all = append(all, b.name)
	}
	var chosen []bundleConfig
	for _, name := range names {
		i := slices.Index(all, name)
		if i < 0 {
			err := usagef("%s has no bundle %q", cfg.file, name)
			if near := nearest(name, all); near != "" {
				return nil, withHint(err, "did you mean %q?", near)
			}
			return nil, withHint(err, "it has %s", strings.Join(all, ", "))
		}
		chosen = append(chosen, cfg.bundles[i])
	}
	return chosen, nil
}
