package oci

import (
	"bytes"
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// index returns what index.json is in a layout that has g, with root under the tag, and nothing else; and the documents
// of g with those that make referrers found.
func (g *Graph) index(ctx context.Context, root ocispec.Descriptor, tag string) (*index, []Node, error) {
	ix, documents := newIndex(), g.Documents[:len(g.Documents):len(g.Documents)]
	var referrers []referrer
	kept := documentStore{}
	for _, n := range documents {
		kept[n.Descriptor.Digest] = n.Data
		if r, ok := referrerOf(n.Descriptor, n.Data); ok {
			referrers = append(referrers, r)
		}
	}
	for _, t := range g.Tags {
		ix.set(t.Descriptor, t.Tag)
	}
	ix.set(root, tag)
	err := ix.addReferrers(ctx, kept, referrers, func(desc ocispec.Descriptor, data []byte) error {
		if kept[desc.Digest] == nil {
			kept[desc.Digest] = data
			documents = append(documents, Node{Descriptor: desc, Data: data})
		}
		return nil
	})
	return ix, documents, err
}

// documentStore has documents in memory.
type documentStore map[digest.Digest][]byte

func (s documentStore) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	data, ok := s[desc.Digest]
	if !ok {
		return nil, notIn("memory", desc.Digest)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}
