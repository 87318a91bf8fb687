package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "write a goferry.yaml for the projects that are here",
		Description: "goferry init && goferry pack\n" +
			"goferry init --schema > goferry.schema.json\n\n" +
			"The directory where you are and those below are searched for go.work and go.mod files, but for\n" +
			"vendor, testdata and hidden directories and module caches, and goferry.yaml is written with one\n" +
			"bundle of them all.",
		Flags: slices.Concat(configFlags(), []cli.Flag{
			&cli.BoolFlag{Name: "schema", Usage: "print the JSON schema of goferry.yaml, for editors, and do nothing else"},
		}),
		Action: initConfig,
	}
}

func initConfig(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if c.Bool("schema") {
		return printJSON(c, configSchema())
	}
	name := c.String("file")
	projects, err := findProjects(filepath.Dir(name))
	if err != nil {
		return err
	}
	if len(projects) == 0 {
		return withHint(usagef("there is no go.mod or go.work file here or below"), "go to where your projects are, or write %s by hand: \"goferry init --schema\" prints its words", name)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return withHint(fmt.Errorf("%s is there already", name), "change it, or name another with --file")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(newConfig(bundleName(filepath.Dir(name), projects[0]), projects))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	tell(c.App.ErrWriter, "", fmt.Sprintf("wrote %s, with %s", name, count(len(projects), "project")))
	return nil
}

// findProjects returns the directories below dir with a go.work or go.mod file, relative to it, without the modules
// that are members of a workspace.
func findProjects(dir string) (projects []string, err error) {
	members := make(map[string]bool)
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return nil
		}
		if name != dir && hasNoProjects(name) {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		work, err := readSmall(filepath.Join(name, "go.work"), maxGoMod)
		if err == nil {
			for _, m := range workMembers(work) {
				members[filepath.Join(rel, m)] = true
			}
			projects = append(projects, filepath.ToSlash(rel))
		} else if isFile(filepath.Join(name, "go.mod")) && !members[rel] {
			projects = append(projects, filepath.ToSlash(rel))
		}
		return nil
	})
	return projects, err
}

// hasNoProjects says whether a directory is passed over: as the go command does it, and a module cache.
func hasNoProjects(dir string) bool {
	base := filepath.Base(dir)
	if base == "vendor" || base == "testdata" || strings.ContainsAny(base[:1], "._") {
		return true
	}
	info, err := os.Stat(filepath.Join(dir, "cache", "download"))
	return err == nil && info.IsDir()
}

// maxGoMod is more than a go.mod or go.work file has, in bytes.
const maxGoMod = 16 << 20

// workMembers returns the directories that a go.work file uses; none, if it cannot be read, which pack says.
func workMembers(data []byte) (dirs []string) {
	f, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return nil
	}
	for _, use := range f.Use {
		dirs = append(dirs, filepath.FromSlash(use.Path))
	}
	return dirs
}

// bundleName is the last element of the first project's module path, or of its directory's name.
func bundleName(dir, project string) string {
	if data, err := readSmall(filepath.Join(dir, project, "go.mod"), maxGoMod); err == nil {
		if path := modfile.ModulePath(data); path != "" {
			return path[strings.LastIndexByte(path, '/')+1:]
		}
	}
	if abs, err := filepath.Abs(filepath.Join(dir, project)); err == nil && filepath.Base(abs) != string(filepath.Separator) {
		return filepath.Base(abs)
	}
	return "go"
}

func newConfig(name string, projects []string) []byte {
	var b bytes.Buffer
	b.WriteString("# What \"goferry pack\" packs here. \"goferry lock\" writes down what it comes to.\n")
	fmt.Fprintf(&b, "bundles:\n  %s:\n    projects:\n", yamlString(name))
	for _, p := range projects {
		fmt.Fprintf(&b, "      - %s\n", yamlString(p))
	}
	fmt.Fprintf(&b, "    toolchains: [auto]           # what the projects ask for\n"+
		"    platforms: [%s]\n"+
		"    destinations:\n      - oci:bundle               # or HOST/REPO\n"+
		"    tags: [latest]\n"+
		"    # signKey: release.key       # made with \"goferry keygen --out release\"\n", hostPlatform())
	return b.Bytes()
}

// yamlString quotes a name if need be.
func yamlString(s string) string {
	data, _ := yaml.Marshal(s) // of a string it does not fail
	return strings.TrimSuffix(string(data), "\n")
}

// configSchema is the JSON schema of goferry.yaml.
func configSchema() any {
	type object = map[string]any
	text := object{"type": "string", "minLength": 1}
	kinds := map[string]object{
		"text": text, "list": {"type": "array", "items": text}, "switch": {"type": "boolean"},
		"number":  {"type": "integer", "minimum": 1},
		"mapping": {"type": "object", "additionalProperties": text},
	}
	properties := object{}
	for _, k := range configKeys {
		p := object{"description": k.about}
		for name, value := range kinds[k.kind] {
			p[name] = value
		}
		properties[k.name] = p
	}
	entry := object{"type": "object", "properties": properties, "additionalProperties": false}
	return object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "goferry.yaml", "type": "object",
		"required": []string{"bundles"}, "additionalProperties": false,
		"properties": object{
			"defaults": entry,
			"bundles":  object{"type": "object", "minProperties": 1, "additionalProperties": entry},
		},
	}
}
