package serve

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A target is one bundle of a place.
type target struct {
	name string // for messages
	tag  string // "" where only a digest was named
	ref  string // what the store resolves
}

// defaultTag is the tag of a registry's reference without one.
const defaultTag = "latest"

// targets returns the bundles that the source means.
func (s Source) targets(ctx context.Context, store oci.Store) ([]target, error) {
	ref := s.Reference
	switch {
	case ref.Target() != "":
		return []target{{s.Name, ref.Tag, ref.Target()}}, nil
	case ref.Host != "":
		return []target{{s.Name, defaultTag, defaultTag}}, nil
	}
	var found []target
	for tag, err := range store.Tags(ctx) {
		if err != nil {
			return nil, err
		}
		is, err := isBundle(ctx, store, tag)
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", tag, err)
		}
		if is {
			found = append(found, target{s.Name + ":" + tag, tag, tag})
		}
	}
	return found, nil
}

// isBundle says whether a tag is meant to be a bundle: beside bundles a layout has signatures and what else people
// put there. Whether it is a good one is for Verify.
func isBundle(ctx context.Context, store oci.Store, tag string) (bool, error) {
	desc, err := store.Resolve(ctx, tag)
	if err != nil {
		return false, err
	}
	if desc.MediaType != ocispec.MediaTypeImageIndex {
		return false, nil
	}
	var index ocispec.Index
	_, err = oci.FetchDocument(ctx, store, desc, &index)
	if errors.Is(err, oci.ErrNotFound) {
		err = fmt.Errorf("%w: index %s is missing", bundle.ErrIncomplete, desc.Digest)
	}
	return index.Annotations[bundle.AnnotationFormat] != "", err
}
