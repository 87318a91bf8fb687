package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/sumdb"
	"github.com/goferry/goferry/oci"
)

// maxTreeHeads bounds a file of signed tree heads, in bytes. One has about 170.
const maxTreeHeads = 1 << 20

// treeHeadRefs returns the bundles of which pack needs the tree heads: those of --since, and that
// of --tree-head behind them, without those that are files.
func treeHeadRefs(c *cli.Context) ([]string, error) {
	refs := slices.DeleteFunc(slices.Clone(c.StringSlice("since")), isFile)
	if head := c.String("tree-head"); head != "" && !isFile(head) {
		if _, err := oci.ParseReference(head); err != nil {
			return nil, usagef("--tree-head %q is neither a file nor a bundle", head)
		}
		refs = append(refs, head)
	}
	return refs, nil
}

// readTreeHeads reads the tree heads of --tree-head and --since. The job's places begin with treeHeadRefs.
func readTreeHeads(c *cli.Context, j *job) (heads, since [][]byte, err error) {
	head := c.String("tree-head")
	if head != "" && isFile(head) {
		if heads, err = treeHeadFile(head); err != nil {
			return nil, nil, err
		}
	}
	refs := 0 // of --since
	for _, name := range c.StringSlice("since") {
		if !isFile(name) {
			refs++
			continue
		}
		of, err := treeHeadFile(name)
		if err != nil {
			return nil, nil, err
		}
		since = append(since, of...)
	}
	for i, p := range j.places[:len(j.places)-1] {
		of, err := j.treeHeads(c.Context, p)
		if err != nil {
			return nil, nil, err
		}
		if i < refs {
			since = append(since, of...)
		} else {
			heads = of
		}
	}
	return heads, since, nil
}

func treeHeadFile(name string) ([][]byte, error) {
	data, err := readNamed(name, maxTreeHeads)
	if err != nil {
		return nil, err
	}
	heads := sumdb.SplitHeads(data)
	if len(heads) == 0 {
		return nil, usagef("%s is no file of signed tree heads", name)
	}
	return heads, nil
}

// treeHeads returns the tree heads of a bundle, the newest last.
func (j *job) treeHeads(ctx context.Context, p place) ([][]byte, error) {
	store, target, err := j.openPlace(ctx, p)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	verified, err := bundle.Verify(ctx, store, target, bundle.VerifyOptions{})
	if err != nil {
		return nil, j.explain(err)
	}
	trailOf(ctx).read(p.text, verified.Index.Digest)
	heads, err := verified.TreeHeads(ctx)
	if err != nil {
		return nil, j.explain(err)
	}
	if len(heads) == 0 {
		return nil, fmt.Errorf("%s has no tree head: it was packed without the checksum database", p.text)
	}
	return heads, nil
}
