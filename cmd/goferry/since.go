package main

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A baseSource is where it is written what the other side has: one of a receipt, an unpacked directory and a bundle.
type baseSource struct {
	receipt  string
	unpacked string
	place    place
}

// sinceSources reads the words of copy's --since.
func sinceSources(c *cli.Context) (sources []baseSource, err error) {
	for _, word := range c.StringSlice("since") {
		s := baseSource{}
		switch {
		case isFile(word):
			s.receipt = word
		case bundle.IsUnpacked(word):
			s.unpacked = word
		default:
			places, err := parsePlaces(word)
			if err != nil {
				return nil, withHint(usagef("--since %q is neither a receipt, nor a directory that was unpacked into, nor a bundle", word),
					"\"goferry receipt -o %s REF\" makes a receipt, where the bundle arrived", word)
			}
			s.place = places[0]
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// checkSince refuses a delta where there is none.
func checkSince(c *cli.Context, src, dst place) error {
	switch {
	case !c.IsSet("since"):
	case dst.Host != "":
		return withHint(usagef("%s: a registry takes no bundle without its blobs, so --since is of no use for it", c.Command.Name),
			"leave it out: what the registry has is not sent again")
	case src.IsStream():
		return withHint(usagef("%s: --since needs to know all of the bundle, and standard input can be read once", c.Command.Name),
			"copy it to a directory first: goferry copy %s oci:DIR", src.text)
	}
	return nil
}

// tellDelta says what a copy with --since is.
func (j *job) tellDelta(c *cli.Context, n *copyCount) {
	switch {
	case n.base == nil || c.Bool("quiet"):
	case n.left.Load() == 0:
		tell(j.show, "", "nothing is left out: the other side has no blob of it")
	default:
		tell(j.show, "", fmt.Sprintf("a delta of %s, %s; left out: %s, %s", count(int(n.copied.Load()+n.skipped.Load()), "blob"),
			size(n.bytes.Load()), count(int(n.left.Load()), "blob"), size(n.leftBytes.Load())))
	}
}

// base reads what the other side has; nil: nobody said.
func (j *job) base(ctx context.Context, sources []baseSource) (*oci.Base, error) {
	if len(sources) == 0 {
		return nil, nil
	}
	base := &oci.Base{Blobs: make(map[digest.Digest]int64)}
	for _, s := range sources {
		receipt, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		if receipt != nil {
			receipt.AddTo(base)
			continue
		}
		store, target, err := j.openPlace(ctx, s.place)
		if err != nil {
			return nil, err
		}
		err = bundle.AddNamed(ctx, base, store, target)
		store.Close()
		if err != nil {
			return nil, explain(err, []place{s.place})
		}
	}
	return base, nil
}

// read returns the receipt, or nil for a bundle.
func (s baseSource) read(ctx context.Context) (*bundle.Receipt, error) {
	switch {
	case s.unpacked != "":
		return bundle.UnpackedReceipt(ctx, s.unpacked)
	case s.receipt == "":
		return nil, nil
	}
	data, err := readNamed(s.receipt, bundle.MaxReceipt)
	if err != nil {
		return nil, err
	}
	receipt, err := bundle.ParseReceipt(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.receipt, err)
	}
	return receipt, nil
}
