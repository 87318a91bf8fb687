package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
)

func packCommand() *cli.Command {
	return &cli.Command{
		Name:      "pack",
		Usage:     "capture what a Go project needs and write it as a bundle",
		ArgsUsage: "-o REF | [NAME…]",
		Description: "goferry pack -o oci:bundle\n" +
			"goferry pack -C ~/src/app --platform linux/amd64,windows/amd64 -o harbor.corp/go/app:v3\n\n" +
			"The modules of the project are taken from the go command's cache or fetched with its\n" +
			"settings, checked against go.sum and the checksum database, and written with a toolchain\n" +
			"for each platform. Nothing of the project or the cache is changed. The digest of the bundle\n" +
			"is printed; the same project and the same --tree-head give the same on any machine.\n\n" +
			"Where there is a goferry.yaml and no -o, the bundles in it are packed, or those that are named.\n" +
			"With --locked they have to be what goferry.lock says, digest for digest.\n\n" +
			"Scope build has what go build, test and vet need; dev also what go mod tidy, go get and\n" +
			"go list -m all need; all has every module of the graph.",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringSliceFlag{Name: "C", Usage: "pack the project in `DIR`; may be repeated (default: where you are)"},
			&cli.StringSliceFlag{Name: "module", Aliases: []string{"m"}, Usage: "pack `PATH@VERSION` with what it needs; may be repeated"},
			localFlag(),
			&cli.StringSliceFlag{Name: "toolchain", Usage: "carry Go `VERSION,…`, \"auto\" (what the project asks for) or \"none\"; may be repeated, the first is GOROOT (default: auto)"},
			&cli.StringSliceFlag{Name: "platform", Aliases: []string{"p"}, Usage: "carry the toolchain for `OS/ARCH,…`; may be repeated (default: this one)"},
			&cli.StringFlag{Name: "scope", Value: string(gomod.Dev), Usage: "how much of the module graph: `build|dev|all`"},
			&cli.StringSliceFlag{Name: "annotation", Usage: "write `NAME=VALUE` into the bundle's annotations and labels; may be repeated"},
			&cli.IntFlag{Name: "layer-budget", Usage: "put modules together in a layer where there would be more than `N` layers, so that any bundle is an image", DefaultText: "a layer for each module"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the bundle to `REF`: oci:DIR[:TAG], oci-archive:FILE[:TAG], HOST/REPO[:TAG]"},
			&cli.StringFlag{Name: "tree-head", Usage: "pack with the checksum database's tree heads of the bundle `REF`, or in a file (default: those packed with here before)"},
			&cli.StringSliceFlag{Name: "since", Usage: "let go commands go on that have used the bundle `REF`, or know the signed tree head in a file; may be repeated"},
			&cli.BoolFlag{Name: "require-sumdb", Usage: "refuse what the checksum database does not cover"},
			&cli.BoolFlag{Name: "rehearse", Usage: "tag the bundle only if the project builds with it and no network, as \"goferry rehearse\" says"},
			&cli.BoolFlag{Name: "locked", Usage: "make the bundles that goferry.lock says, and no others"},
			formatFlag(), progressFlag(), quietFlag(),
		}, toolFlags(), packSignFlags(), configFlags(), registryFlags()),
		Action: pack,
	}
}

func pack(c *cli.Context) error {
	if followsConfig(c) {
		return packConfig(c)
	}
	if _, err := arguments(c); err != nil {
		return err
	}
	return packBundle(c, nil)
}

// packJob makes of the flags what is packed. The caller closes the job's display.
func packJob(c *cli.Context) (bundle.PackOptions, *job, error) {
	opts, err := packOptions(c)
	if err != nil {
		return opts, nil, err
	}
	j, err := beginPack(c)
	if err != nil {
		return opts, nil, err
	}
	if opts.TreeHeads, opts.Since, err = readTreeHeads(c, j); err != nil {
		j.show.close()
		return opts, nil, err
	}
	opts.Progress, opts.Warn = j.show.event, func(text string) { tell(j.show, "warning", text) }
	return opts, j, nil
}

// packBundle packs one bundle. If lock is not nil, it has to be what that says.
func packBundle(c *cli.Context, lock *lockedBundle) error {
	opts, j, err := packJob(c)
	if err != nil {
		return err
	}
	defer j.show.close()
	lock.hold(&opts)
	signer, err := newPackSigner(c, j.places[len(j.places)-1])
	if err != nil {
		return err
	}
	store, tag, err := j.create(c.Context)
	if err != nil {
		return err
	}
	rehearsal := rehearseBeforeTag(c, j.show, &opts)
	packed, err := bundle.Pack(c.Context, store, tag, opts)
	if err == nil {
		err = signer.sign(c.Context, store, tag, packed)
	}
	if err := errors.Join(err, store.Close()); err != nil {
		return j.explainPack(err)
	}
	trailOf(c.Context).wrote(c.String("output"), packed.Descriptor.Digest)
	j.show.close()
	tellPacked(c, packed, opts.Platforms)
	return printPacked(c, packed, rehearsal)
}

func (j *job) explainPack(err error) error {
	if _, hinted := errors.AsType[*hintedError](err); errors.Is(err, bundle.ErrMismatch) && !errors.Is(err, gomod.ErrTaken) && !hinted {
		return withHint(err, "see with \"go mod verify\" whether the module cache was changed")
	}
	return j.explain(err)
}

// beginPack makes the job: first are the bundles with tree heads to pack with, last is the one to write.
func beginPack(c *cli.Context) (*job, error) {
	if c.String("output") == "" {
		return nil, withHint(usagef("pack: -o is missing"), "say where the bundle goes, as in \"goferry pack -o oci:bundle\"")
	}
	refs, err := treeHeadRefs(c)
	if err != nil {
		return nil, err
	}
	j, err := begin(c, append(refs, c.String("output"))...)
	if err != nil {
		return nil, err
	}
	if err := checkDestination(j.places[len(j.places)-1]); err != nil {
		j.show.close()
		return nil, err
	}
	return j, nil
}

func printPacked(c *cli.Context, p bundle.Packed, rehearsal *rehearsalJSON) error {
	tellLayers(c, p)
	if c.String("format") == "json" {
		return printJSON(c, packedJSON{p.Descriptor.Digest, p.Descriptor.MediaType, p.Descriptor.Size, p.Runnable, p.Layers, p.Modules, p.Bytes, rehearsal})
	}
	_, err := fmt.Fprintln(c.App.Writer, p.Descriptor.Digest)
	return err
}

// tellPacked says, unless that is too much, what is in the bundle.
func tellPacked(c *cli.Context, p bundle.Packed, platforms []gomod.Platform) {
	if c.Bool("quiet") {
		return
	}
	parts := []string{count(p.Modules, "module"), "no toolchain"}
	if versions := p.Record.GoVersions(); len(versions) > 0 {
		var names []string
		for _, p := range platforms {
			names = append(names, p.String())
		}
		parts[1] = fmt.Sprintf("%s for %s", strings.Join(versions, ", "), cmp.Or(strings.Join(names, ", "), hostPlatform().String()))
	}
	if n := len(p.Record.ToolNames()); n > 0 {
		parts = append(parts, count(n, "tool"))
	}
	parts = append(parts, size(p.Bytes))
	if c.String("sign-key") != "" {
		parts = append(parts, "signed")
	}
	tell(c.App.ErrWriter, "", "packed "+strings.Join(parts, ", "))
}

// tellLayers says, unless that is too much, for whom a bundle has too many layers.
func tellLayers(c *cli.Context, p bundle.Packed) {
	const docker, ecr = 127, 500
	switch {
	case c.Bool("quiet"):
	case !p.Runnable:
		tell(c.App.ErrWriter, "", fmt.Sprintf("%d layers: written as an artifact of layers, not a runnable image; --layer-budget %d makes one", p.Layers, bundle.MaxImageLayers))
	case p.Layers > ecr:
		tell(c.App.ErrWriter, "warning", fmt.Sprintf("%d layers: container engines run images of at most %d, and Amazon ECR takes no more than %d", p.Layers, docker, ecr))
	case p.Layers > docker:
		tell(c.App.ErrWriter, "warning", fmt.Sprintf("%d layers: container engines run images of at most %d", p.Layers, docker))
	}
}

// packedJSON is what pack --format json prints.
type packedJSON struct {
	Digest    digest.Digest `json:"digest"`
	MediaType string        `json:"mediaType"`
	Size      int64         `json:"size"`
	Runnable  bool          `json:"runnable"`
	Layers    int           `json:"layers"`
	Modules   int           `json:"modules"`
	Bytes     int64         `json:"bytes"`

	Rehearsal *rehearsalJSON `json:"rehearsal,omitempty"`
}

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
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
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
