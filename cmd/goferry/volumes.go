package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// volumeUnits are what a size can be said in: units, and media of that size.
var volumeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// media are sizes that have a name: what fits on a disc.
var media = map[string]int64{"cd": 360_000 * 2048, "dvd": 2_295_104 * 2048, "bd": 12_219_392 * 2048}

// volumeSize reads the size of a volume: "4.4GB", "700MiB", or a medium.
func volumeSize(s string) (int64, error) {
	if n, ok := media[strings.ToLower(s)]; ok {
		return n, nil
	}
	for _, unit := range volumeUnits {
		number, ok := cutSuffixFold(s, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n > 0) || n*unit.bytes > 1<<60 || strings.ContainsAny(number, "xXpP_") {
			break
		}
		return int64(n * unit.bytes), nil
	}
	return 0, usagef("--volume-size %q: it is a size like 4.4GB or 700MiB, or cd, dvd or bd", s)
}

func cutSuffixFold(s, suffix string) (string, bool) {
	at := len(s) - len(suffix)
	if at < 0 || !strings.EqualFold(s[at:], suffix) {
		return s, false
	}
	return s[:at], true
}

// copyArguments are the sources and the destination of a copy, as references: directories of volumes need not be
// written as such.
func copyArguments(c *cli.Context) ([]string, error) {
	if c.NArg() < 2 {
		return arguments(c, "SRC", "DST")
	}
	args := c.Args().Slice()
	for i, arg := range args {
		last := i == len(args)-1
		_, err := oci.ParseReference(arg)
		switch {
		case arg == "":
			return nil, usagef("%s: an argument is empty", c.Command.Name)
		case err != nil && !last && oci.VolumeDirs(arg) != nil:
			args[i] = "oci:" + arg
		case err != nil && last && c.IsSet("volume-size"):
			args[i] = "oci:" + arg
		}
	}
	return args, nil
}

// checkVolumes refuses several sources that are not volumes of one set, and volumes where there can be none.
func checkVolumes(c *cli.Context, sources []place, dst place) error {
	for _, src := range sources {
		if len(sources) > 1 && (src.Transport != oci.TransportLayout || oci.VolumeDirs(src.Path) == nil) {
			return withHint(usagef("%s: %s is not a volume, and several sources are volumes of one bundle", c.Command.Name, src.text),
				"goferry %s %s", c.Command.Name, c.Command.ArgsUsage)
		}
	}
	switch {
	case !c.IsSet("volume-size"):
		return nil
	case dst.Transport != oci.TransportLayout:
		return usagef("%s: volumes are directories in a directory, and %s is none", c.Command.Name, dst.text)
	case sources[0].IsStream():
		return withHint(usagef("%s: how a bundle is spread over volumes depends on all of it, and standard input can be read once", c.Command.Name),
			"copy it to a directory first: goferry copy %s oci:DIR", sources[0].text)
	}
	_, err := volumeSize(c.String("volume-size"))
	return err
}

// openSources opens what is before the job's last place: one place, or volumes.
func (j *job) openSources(ctx context.Context) (oci.Store, string, error) {
	sources := j.places[:len(j.places)-1]
	if len(sources) == 1 {
		return j.open(ctx)
	}
	var dirs []string
	for _, p := range sources {
		dirs = append(dirs, oci.VolumeDirs(p.Path)...)
	}
	store, err := oci.OpenVolumes(ctx, dirs...)
	if err != nil {
		return nil, "", err
	}
	target, err := readTarget(ctx, store, sources[0].Reference)
	if err != nil {
		store.Close()
	}
	return store, target, err
}

// copyToVolumes spreads target over volumes in the directory that is the job's last place.
func (j *job) copyToVolumes(c *cli.Context, src oci.Store, target string, opts oci.CopyOptions) (ocispec.Descriptor, error) {
	dst := j.places[len(j.places)-1]
	size, err := volumeSize(c.String("volume-size"))
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, n, err := oci.CopyToVolumes(c.Context, src, target, dst.Path, cmp.Or(dst.Tag, defaultTag), size, opts)
	if err == nil && !c.Bool("quiet") {
		tell(j.show, "", fmt.Sprintf("%s in %s; on each, \"sha256sum -c SHA256SUMS\" checks it", count(n, "volume"), dst.Path))
	}
	return desc, err
}

// nameVolumes says what is wrong with volumes, or still missing.
func (j *job) nameVolumes(err error) error {
	var problems *oci.VolumesError
	if !errors.As(err, &problems) {
		return err
	}
	var all []error
	for _, v := range problems.Damaged {
		all = append(all, fmt.Errorf("%w: volume %d (%s) has damaged blobs: %s", oci.ErrDigest, v.Volume, v.Dir, blobNames(v.Blobs)))
	}
	var wanted []int
	var coming []string
	for _, v := range problems.Missing {
		switch {
		case v.Volume == 0:
			all = append(all, fmt.Errorf("%w: on no volume, nor there: %s", bundle.ErrIncomplete, blobNames(v.Blobs)))
			continue
		case v.Dir != "":
			all = append(all, fmt.Errorf("%w: volume %d (%s) lacks %s", bundle.ErrIncomplete, v.Volume, v.Dir, blobNames(v.Blobs)))
			continue
		}
		wanted = append(wanted, v.Volume)
		coming = append(coming, fmt.Sprintf("volume %d (%s, %s)", v.Volume, count(len(v.Blobs), "blob"), size(v.Bytes)))
	}
	if coming != nil {
		all = append(all, fmt.Errorf("%w: of %d volumes, still to come: %s", bundle.ErrIncomplete, problems.Volumes, strings.Join(coming, ", ")))
	}
	return withHint(errors.Join(all...), "%s", volumesHint(problems, wanted, j.places[len(j.places)-1]))
}

// volumesHint says which volumes to copy next.
func volumesHint(problems *oci.VolumesError, wanted []int, dst place) string {
	switch {
	case dst.Transport == oci.TransportArchive:
		return "nothing is kept of an archive that is not whole: name all volumes in one command"
	case len(problems.Damaged) > 0:
		return "get the damaged volumes once more, and copy just them to " + dst.text + ": the rest has arrived"
	case len(problems.Together) > 0:
		return fmt.Sprintf("name volumes %s in one command: they have parts of a blob, which a registry takes only whole; the rest has arrived", numbers(problems.Together))
	case len(wanted) == 0 && problems.Missing[0].Volume == 0:
		return deltaHint
	case len(wanted) == 0:
		return "the volumes are not as they were written: write them once more"
	}
	return "what was there has arrived; copy volume " + numbers(wanted) + " to " + dst.text + " next"
}

func numbers(of []int) string {
	var all []string
	for _, n := range of {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ", ")
}
