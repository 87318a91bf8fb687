package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func copyCommand() *cli.Command {
	return &cli.Command{
		Name:      "copy",
		Aliases:   []string{"push", "pull"},
		Usage:     "move a bundle, with what refers to it, from one place to another",
		ArgsUsage: "SRC… DST",
		Description: "goferry push oci:bundle harbor.corp/go/app:v3\n" +
			"goferry pull --verify --key release.pub harbor.corp/go/app:v3 oci-archive:app.tar\n\n" +
			"SRC and DST are a directory (oci:DIR[:TAG]), a file (oci-archive:FILE[:TAG]) or a registry\n" +
			"(HOST/REPO[:TAG][@DIGEST]); - or oci-archive:-[:TAG] is an archive on standard input or output.\n" +
			"Blobs that are at DST already are not sent again. The digest of the bundle is printed.\n" +
			"With --verify SRC is first verified, all of it, as \"goferry verify\" does, and nothing is\n" +
			"written to DST before that. The flags for registries apply to SRC and DST; --username to one only.\n\n" +
			"With --since DST is a delta: all but the blobs that the other side has, as a receipt of it says (see\n" +
			"\"goferry help receipt\"), a directory that was unpacked into, or a bundle that went there. Copy the delta\n" +
			"to where the rest is, or unpack it into such a directory.\n\n" +
			"With --volume-size DST is a directory, in which volumes are made that can be burnt or carried on their\n" +
			"own. Each counts a MiB for its file system, and for each file whole clusters of 4 KiB and one more. SRC may\n" +
			"be volumes, in any order: all, one after the other, or their directory. DST keeps what has arrived.",
		Flags: slices.Concat([]cli.Flag{
			&cli.BoolFlag{Name: "verify", Usage: "copy only what is signed, and whole"},
			&cli.StringSliceFlag{Name: "since", Usage: "leave out what `RECEIPT|REF|DIR` has; may be repeated"},
			&cli.StringFlag{Name: "volume-size", Usage: "spread the bundle over volumes of `SIZE`: 4.4GB, 700MiB, cd, dvd, bd"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be sent, and change nothing"},
			&cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Usage: "copy `N` blobs at once", DefaultText: "6, and 16 small ones of a registry"},
			formatFlag(), progressFlag(), quietFlag(),
		}, demandFlags(), registryFlags()),
		Action: copyBundle,
	}
}

func copyBundle(c *cli.Context) error {
	args, err := copyArguments(c)
	if err != nil {
		return err
	}
	j, err := begin(c, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	since, err := sinceSources(c)
	if err != nil {
		return err
	}
	if err := checkCopy(c, j.places[:len(j.places)-1], j.places[len(j.places)-1]); err != nil {
		return err
	}
	believe, err := copyTrust(c, j)
	if err != nil {
		return err
	}
	var count copyCount
	if count.base, err = j.base(c.Context, since); err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return j.explain(j.nameMissing(j.dryRun(c, count.base)))
	}
	desc, err := j.copyTrusted(c, believe, &count)
	j.recordCopied(c.Context, desc.Digest, err)
	if err != nil {
		return j.explain(j.nameVolumes(j.nameMissing(j.nameDamage(err))))
	}
	j.tellDelta(c, &count)
	j.show.close()
	return j.printCopied(c, desc, &count)
}

// checkCopy refuses what does not go together.
func checkCopy(c *cli.Context, sources []place, dst place) error {
	if c.IsSet("jobs") && c.Int("jobs") < 1 {
		return usagef("--jobs is %d: at least one blob is copied at once", c.Int("jobs"))
	}
	src := sources[0]
	return cmp.Or(checkDestination(dst), checkStreams(c, src, dst), checkSince(c, src, dst), checkDryRun(c, src), checkVolumes(c, sources, dst))
}

// copyTrusted copies from the job's first place to its last, with --verify only what believe believes.
func (j *job) copyTrusted(c *cli.Context, believe believer, count *copyCount) (ocispec.Descriptor, error) {
	if j.places[0].IsStream() {
		return j.copyStdin(c, count.options(c.Int("jobs"), j.show))
	}
	src, target, err := j.openSources(c.Context)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer src.Close()
	name := target
	var verified proven
	if c.Bool("verify") {
		whole, closeWhole, err := j.overDestination(c, src, target)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		verified, err = j.prove(c, whole, target, believe)
		closeWhole()
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		target = verified.digest.String() // the tag may move meanwhile
	}
	desc, err := j.copy(c, src, target, name, count)
	if err == nil {
		err = believe(j.places[0]).Accept(verified.digest, verified.signatures)
	}
	return desc, err
}

// tellOtherTag warns where target, if it is there, is called name and gets the default tag: its signature is not believed
// under that.
func (j *job) tellOtherTag(c *cli.Context, src oci.Store, target, name string) {
	dst := j.places[len(j.places)-1]
	if dst.Tag != "" || name == defaultTag || name == "" || strings.Contains(name, ":") || c.Bool("quiet") {
		return
	}
	if _, err := src.Resolve(c.Context, target); err == nil {
		tell(j.show, "warning", fmt.Sprintf("%s is copied as %q: a signature holds for the tag that was signed; to keep that, write %s:%s", name, defaultTag, dst.text, name))
	}
}

// copy copies target, which is called name, to the job's last place.
func (j *job) copy(c *cli.Context, src oci.Store, target, name string, count *copyCount) (ocispec.Descriptor, error) {
	j.announce(c.Context, src, target)
	j.tellOtherTag(c, src, target, name)
	if c.IsSet("volume-size") {
		return j.copyToVolumes(c, src, target, count.options(c.Int("jobs"), j.show))
	}
	dst, tag, err := j.createFor(c)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, err := oci.Copy(c.Context, src, target, dst, tag, count.options(c.Int("jobs"), j.show))
	return desc, errors.Join(err, dst.Close())
}

// announce tells the display how much there is to copy, where that is shown and what is
// copied is a bundle. Anything else is copied as well, so errors are left to the copy.
func (j *job) announce(ctx context.Context, src oci.Store, target string) {
	show := j.show
	if a, ok := show.(audited); ok {
		show = a.display
	}
	switch show.(type) {
	case silent, *logLines:
		return
	}
	if info, err := bundle.Inspect(ctx, src, target); err == nil {
		j.show.event(bundle.Event{Stage: "copy", TotalItems: info.Blobs, TotalBytes: info.Size})
	}
}

// copyCount counts what a copy did.
type copyCount struct {
	base                   *oci.Base // to be left out
	copied, skipped, bytes atomic.Int64
	left, leftBytes        atomic.Int64
}

func (n *copyCount) options(jobs int, show display) oci.CopyOptions {
	return oci.CopyOptions{
		Concurrency: jobs,
		Base:        n.base,
		OnLeft: func(desc ocispec.Descriptor) {
			n.left.Add(1)
			n.leftBytes.Add(desc.Size)
			show.event(bundle.Event{Stage: "copy", Item: itemName(desc), Items: 1, Bytes: desc.Size, Skipped: true})
		},
		OnCopied: func(desc ocispec.Descriptor) {
			n.copied.Add(1)
			n.bytes.Add(desc.Size)
			show.event(bundle.Event{Stage: "copy", Item: itemName(desc), Items: 1, Bytes: documentSize(desc)})
		},
		OnSkipped: func(desc ocispec.Descriptor) {
			n.skipped.Add(1)
			show.event(bundle.Event{Stage: "copy", Item: itemName(desc), Items: 1, Bytes: desc.Size, Skipped: true})
		},
		OnBytes: func(bytes int64) { show.event(bundle.Event{Stage: "copy", Bytes: bytes}) },
	}
}

// documentSize is what OnBytes does not count: documents are read before anything is copied.
func documentSize(desc ocispec.Descriptor) int64 {
	if desc.MediaType == ocispec.MediaTypeImageIndex || desc.MediaType == ocispec.MediaTypeImageManifest {
		return desc.Size
	}
	return 0
}

func itemName(desc ocispec.Descriptor) string {
	for _, key := range []string{bundle.AnnotationModule, bundle.AnnotationTool} {
		if name := desc.Annotations[key]; name != "" {
			return name
		}
	}
	if desc.Annotations[bundle.AnnotationGroup] != "" {
		return bundle.BlobName(desc)
	}
	return desc.Digest.String()
}

func (n *copyCount) result(desc ocispec.Descriptor) any {
	return struct {
		Digest  string `json:"digest"`
		Copied  int64  `json:"copied"`
		Skipped int64  `json:"skipped"`
		Bytes   int64  `json:"bytes"`

		LeftOut      int64 `json:"leftOut,omitempty"` // blobs, of which a delta is without
		LeftOutBytes int64 `json:"leftOutBytes,omitempty"`
	}{desc.Digest.String(), n.copied.Load(), n.skipped.Load(), n.bytes.Load(), n.left.Load(), n.leftBytes.Load()}
}
