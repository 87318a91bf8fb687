package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// referrer is a manifest that says it belongs to another.
type referrer struct {
	desc    ocispec.Descriptor // with artifactType and annotations, as referrers are listed
	subject digest.Digest
}

func referrerOf(desc ocispec.Descriptor, data []byte) (referrer, bool) {
	var doc document
	if DecodeStrict(data, &doc) != nil || doc.Subject == nil || !validDigest(doc.Subject.Digest) {
		return referrer{}, false
	}
	d := bare(desc)
	d.Annotations = doc.Annotations
	d.ArtifactType = doc.ArtifactType
	if d.ArtifactType == "" && doc.Config != nil {
		d.ArtifactType = doc.Config.MediaType
	}
	return referrer{d, doc.Subject.Digest}, true
}

// fallbackTag is the tag under which registries without a referrers API, and regctl in layouts, look for referrers.
func fallbackTag(subject digest.Digest) string { return referrerPrefix + subject.Encoded() }

const referrerPrefix = "sha256-"

// IsReferrerTag says whether a tag is not a name that somebody gave, but leads to what refers to a manifest.
func IsReferrerTag(tag string) bool { return strings.HasPrefix(tag, referrerPrefix) }

// The ends of the tags under which cosign keeps what belongs to a manifest.
const (
	cosignSignature   = ".sig"
	cosignAttestation = ".att"
	cosignSBOM        = ".sbom"
)

// SignatureTag is the tag under which cosign keeps the signatures of subject that are not referrers.
func SignatureTag(subject digest.Digest) string { return fallbackTag(subject) + cosignSignature }

// AttestationTag is the tag under which cosign keeps the attestations of subject that are not referrers.
func AttestationTag(subject digest.Digest) string { return fallbackTag(subject) + cosignAttestation }

// Find is Resolve for what may well not be there, which is no error: the descriptor is then empty.
func Find(ctx context.Context, s Store, target string) (desc ocispec.Descriptor, err error) {
	if r, ok := s.(*repository); ok {
		desc, err = r.lookup(ctx, target) // does not list tags for its error
	} else {
		desc, err = s.Resolve(ctx, target)
	}
	if errors.Is(err, ErrNotFound) {
		return ocispec.Descriptor{}, nil
	}
	return desc, err
}

// predecessors are the entries whose subject is desc, and the members of its fallback tag.
func (ix *index) predecessors(ctx context.Context, s content.Fetcher, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	ix.mu.Lock()
	if ix.referrers == nil {
		ix.referrers = ix.scan(ctx, s)
	}
	found := slices.Clone(ix.referrers[desc.Digest])
	ix.mu.Unlock()
	members, err := ix.fallbackMembers(ctx, s, desc.Digest)
	if err != nil {
		return nil, err
	}
	return sortDescriptors(append(found, members...)), ctx.Err()
}

// scan reads all entries for their subjects, each blob once. An entry that cannot be read has none: it may belong to
// anything.
func (ix *index) scan(ctx context.Context, s content.Fetcher) map[digest.Digest][]ocispec.Descriptor {
	referrers := map[digest.Digest][]ocispec.Descriptor{}
	read := map[digest.Digest]bool{}
	for _, e := range ix.Manifests {
		if !isManifest(e.MediaType) || read[e.Digest] {
			continue
		}
		read[e.Digest] = true
		data, err := fetchBytes(ctx, s, e)
		if ctx.Err() != nil {
			return nil // scan again when somebody waits for it
		}
		if err != nil {
			continue
		}
		if r, ok := referrerOf(e, data); ok {
			referrers[r.subject] = append(referrers[r.subject], r.desc)
		}
	}
	return referrers
}

func (ix *index) fallbackMembers(ctx context.Context, s content.Fetcher, subject digest.Digest) ([]ocispec.Descriptor, error) {
	tag := fallbackTag(subject)
	desc, ok, err := ix.lookup(tag)
	if err != nil || !ok || desc.Digest == subject {
		return nil, err
	}
	var members ocispec.Index
	if _, err := FetchDocument(ctx, s, desc, &members); err != nil {
		return nil, fmt.Errorf("referrers %s: %w", tag, err)
	}
	return members.Manifests, nil
}

// addReferrers lists what a referrer needs to be found by every kind of reader: itself, untagged, and as
// a member of the fallback tag. The fallback indexes that this makes go through push.
func (ix *index) addReferrers(ctx context.Context, s content.Fetcher, referrers []referrer, push func(ocispec.Descriptor, []byte) error) error {
	bySubject := map[digest.Digest][]ocispec.Descriptor{}
	for _, r := range referrers {
		ix.set(bare(r.desc), string(r.desc.Digest))
		bySubject[r.subject] = append(bySubject[r.subject], r.desc)
	}
	for _, subject := range slices.Sorted(maps.Keys(bySubject)) {
		members, err := ix.fallbackMembers(ctx, s, subject)
		if err != nil {
			return err
		}
		fallback := newIndex().Index
		fallback.Manifests = sortDescriptors(append(members, bySubject[subject]...))
		data, err := json.Marshal(fallback)
		if err != nil {
			return err
		}
		desc := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, data)
		if err := push(desc, data); err != nil {
			return err
		}
		ix.set(desc, fallbackTag(subject))
	}
	ix.referrers = nil
	return nil
}
