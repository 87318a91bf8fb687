package oci

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

const (
	indexFile  = "index.json"
	layoutFile = "oci-layout"

	maxIndex = 8 << 20 // bytes of index.json: a layout may have many tags

	// annotationKind is how cosign finds things in a layout: the value is kindPrefix and one of the words.
	annotationKind = "kind"
	kindPrefix     = "dev.cosignproject.cosign/"
	kindIndex      = kindPrefix + "imageIndex"
	kindImage      = kindPrefix + "image"
	kindSignatures = kindPrefix + "sigs"
	kindAttested   = kindPrefix + "atts"
)

// index is the index.json of a layout or an archive.
type index struct {
	ocispec.Index

	mu        sync.Mutex
	referrers map[digest.Digest][]ocispec.Descriptor // by subject; nil until asked for
}

func newIndex() *index {
	return &index{Index: ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{},
	}}
}

func parseIndex(data []byte) (*index, error) {
	ix := newIndex()
	if err := ix.parse(data); err != nil {
		return nil, mark(ErrIndexFile, fmt.Errorf("%s: %w", indexFile, err))
	}
	ix.nameSaved()
	return ix, nil
}

func (ix *index) parse(data []byte) error {
	if err := DecodeStrict(data, &ix.Index); err != nil {
		return err
	}
	if ix.SchemaVersion != 2 {
		return malformed("schemaVersion is %d, not 2", ix.SchemaVersion)
	}
	for _, e := range ix.Manifests {
		if !validDigest(e.Digest) || e.Size < 0 {
			return malformed("malformed descriptor %q of %d bytes", e.Digest, e.Size)
		}
	}
	return nil
}

// bytes are the same for the same entries, whatever the order they came in. What could not be read again is an error.
func (ix *index) bytes() ([]byte, error) {
	slices.SortStableFunc(ix.Manifests, func(a, b ocispec.Descriptor) int {
		return cmp.Or(cmp.Compare(tagOf(a), tagOf(b)), cmp.Compare(a.Digest, b.Digest))
	})
	if ix.Manifests == nil {
		ix.Manifests = []ocispec.Descriptor{}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ix.Index); err != nil {
		return nil, err
	}
	if _, err := parseIndex(buf.Bytes()); err != nil || buf.Len() > maxIndex {
		return nil, fmt.Errorf("%s: %d entries are more than are read again", indexFile, len(ix.Manifests))
	}
	return buf.Bytes(), nil
}

func tagOf(e ocispec.Descriptor) string { return e.Annotations[ocispec.AnnotationRefName] }

// names are the tags in lexical order.
func (ix *index) names() []string {
	set := map[string]bool{}
	for _, e := range ix.Manifests {
		if tag := tagOf(e); tag != "" {
			set[tag] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// tags are the names as a [Store] gives them.
func (ix *index) tags() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, tag := range ix.names() {
			if !yield(tag, nil) {
				return
			}
		}
	}
}

// lookup finds a tag or a digest. The descriptor is the bare one, without what the entry adds.
func (ix *index) lookup(target string) (ocispec.Descriptor, bool, error) {
	var found ocispec.Descriptor
	for _, e := range ix.Manifests {
		if tagOf(e) != target && string(e.Digest) != target {
			continue
		}
		if found.Digest != "" && found.Digest != e.Digest {
			return found, false, malformed("%s: tag %q is there twice", indexFile, target)
		}
		found = bare(e)
	}
	return found, found.Digest != "", nil
}

// blobs is where index finds what it does not list.
type blobs interface {
	content.Fetcher
	blobSize(d digest.Digest) (int64, error)
	place() string // for errors; what Fetch and blobSize return has it
}

// resolve finds a tag, "" for the only one, or a digest, also one that only a blob has.
func (ix *index) resolve(ctx context.Context, s blobs, target string) (desc ocispec.Descriptor, err error) {
	var found bool
	if target == "" {
		desc, found, err = ix.only()
	} else {
		desc, found, err = ix.lookup(target)
	}
	d := digest.Digest(target)
	switch {
	case err != nil:
		return desc, fmt.Errorf("%s: %w", s.place(), err)
	case found:
		return desc, nil
	case !validDigest(d):
		return desc, newTagError(s.place(), target, ix.names())
	}
	size, err := s.blobSize(d)
	if err != nil {
		return desc, err
	}
	desc = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: d, Size: size}
	var doc document
	if _, err := FetchDocument(ctx, s, desc, &doc); err != nil {
		return desc, err
	}
	if doc.MediaType != "" {
		desc.MediaType = doc.MediaType
	} else if doc.Config == nil {
		desc.MediaType = ocispec.MediaTypeImageIndex
	}
	return desc, nil
}

// only is the one manifest that is meant when nothing is named.
func (ix *index) only() (desc ocispec.Descriptor, ok bool, err error) {
	var found []ocispec.Descriptor
	for _, e := range ix.Manifests {
		if !IsReferrerTag(tagOf(e)) && !slices.ContainsFunc(found, sameDigest(e)) {
			found = append(found, e)
		}
	}
	if tagged := slices.DeleteFunc(slices.Clone(found), func(e ocispec.Descriptor) bool { return tagOf(e) == "" }); len(tagged) > 0 {
		found = tagged // the others are referrers
	}
	switch len(found) {
	case 0:
		return desc, false, nil
	case 1:
		return bare(found[0]), true, nil
	}
	return desc, false, mark(ErrUsage, fmt.Errorf("no tag is named, and there are several (%s)", someTags(ix.names())))
}

func sameDigest(a ocispec.Descriptor) func(ocispec.Descriptor) bool {
	return func(b ocispec.Descriptor) bool { return a.Digest == b.Digest }
}

func bare(e ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: e.MediaType, Digest: e.Digest, Size: e.Size, ArtifactType: e.ArtifactType}
}

// set makes target, a tag or desc's own digest, name desc. Other annotations of the same entry are kept, but whether it
// is a delta is what desc says.
func (ix *index) set(desc ocispec.Descriptor, target string) {
	ix.mu.Lock()
	ix.referrers = nil // what is read of an archive that is being written may change
	ix.mu.Unlock()
	if target == string(desc.Digest) {
		if !slices.ContainsFunc(ix.Manifests, sameDigest(desc)) {
			ix.Manifests = append(ix.Manifests, desc)
		}
		return
	}
	entry := bare(desc)
	entry.Annotations = map[string]string{}
	ix.Manifests = slices.DeleteFunc(ix.Manifests, func(e ocispec.Descriptor) bool {
		if tagOf(e) != target {
			return false
		}
		if e.Digest == desc.Digest {
			entry = e
		}
		return true
	})
	entry.Annotations[ocispec.AnnotationRefName] = target
	deltaOf(desc.Annotations).annotate(entry.Annotations)
	if kind := kindOf(desc, target); kind != "" {
		entry.Annotations[annotationKind] = kind
	}
	ix.Manifests = append(ix.Manifests, entry)
}

func kindOf(desc ocispec.Descriptor, tag string) string {
	switch {
	case IsReferrerTag(tag) && strings.HasSuffix(tag, cosignSignature):
		return kindSignatures
	case IsReferrerTag(tag) && strings.HasSuffix(tag, cosignAttestation):
		return kindAttested
	case IsReferrerTag(tag):
		return ""
	case desc.MediaType == ocispec.MediaTypeImageIndex:
		return kindIndex
	case desc.MediaType == ocispec.MediaTypeImageManifest:
		return kindImage
	}
	return ""
}

// nameSaved gives tags to what "cosign save" lists by its kind alone: signatures and attestations are those of the
// one image that is there.
func (ix *index) nameSaved() {
	kinds := map[string][]int{}
	for i, e := range ix.Manifests {
		if tagOf(e) == "" {
			kinds[e.Annotations[annotationKind]] = append(kinds[e.Annotations[annotationKind]], i)
		}
	}
	images := slices.Concat(kinds[kindIndex], kinds[kindImage])
	if len(images) != 1 {
		return
	}
	subject := ix.Manifests[images[0]].Digest
	for kind, suffix := range map[string]string{kindSignatures: cosignSignature, kindAttested: cosignAttestation} {
		if at := kinds[kind]; len(at) == 1 {
			ix.Manifests[at[0]].Annotations[ocispec.AnnotationRefName] = fallbackTag(subject) + suffix
		}
	}
}

// sortDescriptors sorts by digest and drops what is there twice.
func sortDescriptors(descs []ocispec.Descriptor) []ocispec.Descriptor {
	slices.SortStableFunc(descs, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	return slices.CompactFunc(descs, func(a, b ocispec.Descriptor) bool { return a.Digest == b.Digest })
}
