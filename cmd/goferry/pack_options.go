package main

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
)

func packOptions(c *cli.Context) (bundle.PackOptions, error) {
	opts := bundle.PackOptions{
		Modules:    c.StringSlice("module"),
		Toolchains: toolchains(c),
		Scope:      gomod.Scope(c.String("scope")),
		Env:        os.Environ(),

		RequireSumDB: c.Bool("require-sumdb"),
		LayerBudget:  c.Int("layer-budget"),
	}
	if c.IsSet("layer-budget") && opts.LayerBudget < 1 {
		return opts, usagef("--layer-budget is %d: a bundle has at least one layer", opts.LayerBudget)
	}
	err := errors.Join(checkPackWords(opts), toolOptions(c, &opts))
	if err != nil {
		return opts, err
	}
	if opts.Locals, err = locals(c); err != nil {
		return opts, err
	}
	if opts.Annotations, err = annotations(c); err != nil {
		return opts, err
	}
	if opts.Dirs, err = projectDirs(c); err != nil {
		return opts, err
	}
	if opts.Platforms, err = packPlatforms(c, opts.Toolchains); err != nil {
		return opts, err
	}
	if opts.Created, err = sourceDate(os.Getenv("SOURCE_DATE_EPOCH")); err != nil {
		return opts, err
	}
	opts.CacheDir = cacheDir()
	if c.Bool("rehearse") {
		return opts, checkRehearsal(opts)
	}
	return opts, nil
}

// annotations returns the values of --annotation.
func annotations(c *cli.Context) (map[string]string, error) {
	list, err := pairs("annotation", c.StringSlice("annotation"))
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if err := bundle.CheckAnnotation(name, list[name]); err != nil {
			return nil, usagef("%w", err)
		}
	}
	return list, err
}

// toolchains returns the values of --toolchain.
func toolchains(c *cli.Context) []string {
	var list []string
	for _, value := range c.StringSlice("toolchain") {
		for word := range strings.SplitSeq(value, ",") {
			list = append(list, strings.TrimSpace(word))
		}
	}
	return list
}

// checkPackWords finds words that cannot be meant.
func checkPackWords(opts bundle.PackOptions) error {
	switch opts.Scope {
	case gomod.Build, gomod.Dev, gomod.All:
	default:
		return usagef("unknown scope %q: it is build, dev or all", string(opts.Scope))
	}
	if len(opts.Toolchains) > 1 && slices.Contains(opts.Toolchains, "none") {
		return usagef("--toolchain %s: none is for no toolchain at all", strings.Join(opts.Toolchains, ","))
	}
	for _, m := range opts.Modules {
		if path, version, ok := strings.Cut(m, "@"); !ok || path == "" || version == "" {
			return withHint(usagef("module %q has no version", m), "write PATH@VERSION, as in golang.org/x/mod@latest")
		} else if path == "golang.org/toolchain" || path == "toolchain" || path == "go" {
			return withHint(usagef("module %q is a toolchain", m), "write --toolchain VERSION --platform OS/ARCH, as in --toolchain 1.26.8 --platform linux/amd64")
		}
	}
	return nil
}

// projectDirs returns the directories of -C, else the one where the user is. The latter is
// left out where it has no project and something else was asked for.
func projectDirs(c *cli.Context) ([]string, error) {
	if dirs := c.StringSlice("C"); len(dirs) > 0 {
		return dirs, nil
	}
	other := len(c.StringSlice("module")) > 0 || len(c.StringSlice("local")) > 0 || len(c.StringSlice("tool")) > 0 || c.String("tools-for") != ""
	for _, t := range toolchains(c) {
		other = other || t != "auto" && t != "none"
	}
	if !other {
		return []string{"."}, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		for _, name := range []string{"go.mod", "go.work"} {
			if isFile(filepath.Join(dir, name)) {
				return []string{"."}, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return nil, nil
		}
		dir = filepath.Dir(dir)
	}
}

// sourceDate reads SOURCE_DATE_EPOCH, as https://reproducible-builds.org/specs has it.
func sourceDate(value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, usagef("SOURCE_DATE_EPOCH is %q, not a number of seconds", value)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// cacheDir is where goferry remembers what it has proven and fetched: $GOFERRY_CACHE, else a directory of the
// user's. It is "" where there is no home, and then nothing is remembered.
func cacheDir() string {
	if dir := os.Getenv("GOFERRY_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "goferry")
}
