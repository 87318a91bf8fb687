package oci

import (
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Docker's names for what OCI has under others; the structure is the same.
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
)

// document is a manifest or an index, as far as the graph is concerned.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	Subject       *ocispec.Descriptor  `json:"subject"`
	Annotations   map[string]string    `json:"annotations"`
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerManifestList
}

func isManifest(mediaType string) bool {
	return isIndex(mediaType) || mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest
}

// parseDocument reads the document that desc names. What could be read as both an index and a manifest is neither:
// two readers would see two different graphs under one digest.
func parseDocument(desc ocispec.Descriptor, data []byte) (document, error) {
	var d document
	if err := DecodeStrict(data, &d); err != nil {
		return d, err
	}
	switch {
	case d.SchemaVersion != 2:
		return d, malformed("schemaVersion is %d, not 2", d.SchemaVersion)
	case d.MediaType != "" && d.MediaType != desc.MediaType:
		return d, malformed("media type is %q, its descriptor says %q", d.MediaType, desc.MediaType)
	case isIndex(desc.MediaType) && (d.Config != nil || d.Layers != nil):
		return d, malformed("index with the config or layers of a manifest")
	case !isIndex(desc.MediaType) && d.Manifests != nil:
		return d, malformed("manifest with the manifests of an index")
	case !isIndex(desc.MediaType) && d.Config == nil:
		return d, malformed("manifest without a config")
	}
	for _, child := range d.children() {
		if !validDigest(child.Digest) || child.Size < 0 {
			return d, malformed("malformed descriptor %q of %d bytes", child.Digest, child.Size)
		}
	}
	return d, nil
}

// children are what d names directly, in its order.
func (d document) children() []ocispec.Descriptor {
	if d.Config == nil {
		return d.Manifests
	}
	return append([]ocispec.Descriptor{*d.Config}, d.Layers...)
}
