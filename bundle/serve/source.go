package serve

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A Source is a bundle, or all tagged bundles of a layout or an archive.
type Source struct {
	Name       string // as the user wrote it, for messages
	Repository string // what it is called below /v2/; "": by its reference
	Reference  oci.Reference
}

// repositoryPattern is the distribution specification's.
var repositoryPattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// maxRepository keeps a repository's name and the longest host within what clients take.
const maxRepository = 200

// repository is what the source is called below /v2/: a registry's repository, or the name of the directory or file.
func (s Source) repository() (string, error) {
	name := s.Repository
	switch {
	case name != "":
	case s.Reference.Host != "":
		name = s.Reference.Repository
	default:
		path, err := filepath.Abs(s.Reference.Path)
		if err != nil {
			return "", err
		}
		name = filepath.Base(path)
		name = repositoryName(strings.TrimSuffix(name, filepath.Ext(name)))
	}
	if !repositoryPattern.MatchString(name) || len(name) > maxRepository {
		return "", fmt.Errorf("%w: %q cannot be a repository's name: it has lower-case letters, digits, and single . _ - / between them", oci.ErrUsage, name)
	}
	return name, nil
}

// repositoryName makes a repository's name of a file's.
func repositoryName(name string) string {
	other := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), other), "-")
}

// A place is a source and the store that it is in.
type place struct {
	Source
	repository string
	store      *sharedStore // nil until it is opened
}

func newPlace(src Source) (*place, error) {
	repository, err := src.repository()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.Name, err)
	}
	return &place{Source: src, repository: repository}, nil
}

func (p *place) open(ctx context.Context, opts oci.Options) error {
	if p.store != nil {
		return nil
	}
	store, err := oci.Open(ctx, p.Reference, opts)
	if err != nil {
		return err
	}
	p.store = shared(store)
	return nil
}

func (p *place) close() {
	if p.store != nil {
		p.store.release()
		p.store = nil
	}
}

// A target is one bundle of a place.
type target struct {
	name string // for messages
	tag  string // "" where only a digest was named
	ref  string // what the store resolves
}

// defaultTag is the tag of a registry's reference without one.
const defaultTag = "latest"

// targets returns the bundles that the source means.
func (p *place) targets(ctx context.Context) ([]target, error) {
	ref := p.Reference
	switch {
	case ref.Target() != "":
		return []target{{p.Name, ref.Tag, ref.Target()}}, nil
	case ref.Host != "":
		return []target{{p.Name, defaultTag, defaultTag}}, nil
	}
	var found []target
	for tag, err := range p.store.Tags(ctx) {
		if err != nil {
			return nil, err
		}
		is, err := isBundle(ctx, p.store, tag)
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", tag, err)
		}
		if is {
			found = append(found, target{p.Name + ":" + tag, tag, tag})
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
