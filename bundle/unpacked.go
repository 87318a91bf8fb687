package bundle

import (
	"maps"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An UnpackedBundle is a bundle that a directory has, and what was known of it when it was unpacked.
type UnpackedBundle struct {
	Name       string        `json:"name"`   // as it was called
	Digest     digest.Digest `json:"digest"` // of the index
	Title      string        `json:"title,omitempty"`
	Version    string        `json:"version,omitempty"`
	Sequence   uint64        `json:"sequence,omitempty"`   // that its signatures claim; the lowest
	Signatures []Signature   `json:"signatures,omitempty"` // that were believed; none: nobody asked who made it
	Time       time.Time     `json:"time,omitzero"`        // when it was verified
}

func unpackedBundle(b SiteBundle) UnpackedBundle {
	u := UnpackedBundle{
		Name: b.Name, Digest: b.Index.Digest, Signatures: b.Signatures, Time: time.Now().UTC().Truncate(time.Second),
		Title: b.annotations[ocispec.AnnotationTitle], Version: b.annotations[ocispec.AnnotationVersion],
	}
	if claimed := slices.Sorted(maps.Values(sequences(b.Signatures))); len(claimed) > 0 {
		u.Sequence = claimed[0]
	}
	return u
}

// sameBundles says whether two lists have the same bundles, in whatever order.
func sameBundles(a, b []UnpackedBundle) bool {
	digests := func(list []UnpackedBundle) (d []digest.Digest) {
		for _, b := range list {
			d = append(d, b.Digest)
		}
		slices.Sort(d)
		return d
	}
	return slices.Equal(digests(a), digests(b))
}

// callsAs says whether u calls a bundle as its documents do, as far as it says something.
func (u UnpackedBundle) callsAs(is UnpackedBundle) bool {
	return (u.Title == "" || u.Title == is.Title) && (u.Version == "" || u.Version == is.Version)
}

// knows says whether all that is known of bundles now, by their documents and signatures, was known before.
func knows(before, now []UnpackedBundle) bool {
	said := make(map[digest.Digest]UnpackedBundle)
	for _, b := range before {
		said[b.Digest] = b
	}
	for _, b := range now {
		was := said[b.Digest]
		if !was.callsAs(b) || len(b.Signatures) > 0 && (was.Sequence != b.Sequence || !slices.Equal(was.keys(), b.keys())) {
			return false
		}
	}
	return true
}

// keys are the IDs of the keys that signed.
func (b UnpackedBundle) keys() (ids []string) {
	for _, s := range b.Signatures {
		ids = append(ids, s.KeyID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
