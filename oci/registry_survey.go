package oci

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// survey is what a copy knows of a repository before it asks for one blob after the other. It costs a request for a
// list, one for a manifest that is like the one to come, and one for each of its children.
//
// What a manifest names is believed to be there, because registries take no manifest before it is, and keep it as
// long as the manifest. (An index is another matter: some take it without a child, so children are read.) If one of them has lost it all the same, it refuses the new manifest, and the copy asks for
// everything then. What is pushed once more under its own tag is always asked for: that is how people repair.
type survey struct {
	empty bool                   // there is no tag, and so it is likely that there is nothing
	named map[digest.Digest]bool // what the manifest like the one to come names; nil if there is none
}

// survey looks for what root, which is to be tagged tag, may have in common with what is there. It is as good as the
// answers it gets.
func (r *repository) survey(ctx context.Context, root ocispec.Descriptor, tag string) survey {
	var tags []string
	err := r.listTags(ctx, func(page []string) error {
		tags = page
		return errStop
	})
	s := survey{empty: len(tags) == 0 && (err == nil || errors.Is(err, ErrNotFound))}
	like := mostLike(tags, tag)
	if like == "" {
		return s
	}
	desc, data, err := r.fetchTagged(ctx, like)
	if err != nil || desc.Digest == root.Digest {
		return s
	}
	s.named = r.namedBelow(ctx, desc, data)
	return s
}

// mostLike is tag, or else the tag that has the longest beginning in common with it, of these the longest and last:
// it is likely to be the version before. Tags that belong to a digest are no versions.
func mostLike(tags []string, tag string) string {
	if slices.Contains(tags, tag) {
		return tag
	}
	best, bestCommon := "", -1
	for _, t := range tags {
		common := 0
		for common < min(len(t), len(tag)) && t[common] == tag[common] {
			common++
		}
		better := common > bestCommon || common == bestCommon && (len(t) > len(best) || len(t) == len(best) && t > best)
		if better && tagPattern.MatchString(t) && !strings.HasPrefix(t, "sha256-") {
			best, bestCommon = t, common
		}
	}
	return best
}

// fetchTagged is one request, where Resolve and Fetch are two.
func (r *repository) fetchTagged(ctx context.Context, tag string) (ocispec.Descriptor, []byte, error) {
	desc, rc, err := r.repo.FetchReference(r.scope(ctx), tag)
	if err != nil {
		return desc, nil, r.explain(err)
	}
	defer rc.Close()
	if !validDigest(desc.Digest) || !isManifest(desc.MediaType) {
		return desc, nil, malformed("%s: tag %q has the malformed digest %q", r, tag, desc.Digest)
	}
	data, err := readAll(ctx, rc, desc)
	return desc, data, err
}

// namedBelow is what a manifest names, or an index and its children as far as they can be read.
func (r *repository) namedBelow(ctx context.Context, desc ocispec.Descriptor, data []byte) map[digest.Digest]bool {
	const mostChildren = 16
	var mu sync.Mutex
	named := map[digest.Digest]bool{}
	add := func(desc ocispec.Descriptor, data []byte) (children []ocispec.Descriptor) {
		doc, err := parseDocument(desc, data)
		if err != nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		named[desc.Digest] = true
		for _, child := range doc.children() {
			if isManifest(child.MediaType) {
				children = append(children, child)
			} else {
				named[child.Digest] = true
			}
		}
		return children
	}
	var g errgroup.Group
	g.SetLimit(concurrency)
	children := add(desc, data)
	for _, child := range children[:min(len(children), mostChildren)] {
		g.Go(func() error {
			if data, err := fetchBytes(ctx, r, child); err == nil {
				add(child, data)
			}
			return nil
		})
	}
	g.Wait()
	return named
}
