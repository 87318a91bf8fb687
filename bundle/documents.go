package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci"
)

// named adds to an error of a store what the blob is, and makes a missing one ErrIncomplete
// and a wrong one ErrMismatch.
func named(what string, d digest.Digest, err error) error {
	switch {
	case errors.Is(err, oci.ErrNotFound):
		return fmt.Errorf("%w: %s %s is missing", ErrIncomplete, what, d)
	case errors.Is(err, oci.ErrDigest):
		return fmt.Errorf("%w: %s %s: %w", ErrMismatch, what, d, err)
	}
	return fmt.Errorf("%s %s: %w", what, d, err)
}

func checkIndex(data []byte, index ocispec.Index) error {
	switch {
	case index.SchemaVersion != 2:
		return fmt.Errorf("schemaVersion is %d, not 2", index.SchemaVersion)
	case index.MediaType != ocispec.MediaTypeImageIndex:
		return fmt.Errorf("mediaType is %q", index.MediaType)
	case index.Annotations[AnnotationFormat] == "":
		return ErrNotBundle
	case index.Annotations[AnnotationFormat] != formatVersion:
		return fmt.Errorf("annotation %s is %q, not %q", AnnotationFormat, index.Annotations[AnnotationFormat], formatVersion)
	case len(index.Manifests) == 0 || len(index.Manifests) > maxPlatforms:
		return fmt.Errorf("it names %d manifests", len(index.Manifests))
	case index.ArtifactType != "" || index.Subject != nil:
		return errors.New("it has an artifactType or a subject")
	}
	if err := refuseMembers(data, "layers", "config"); err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, m := range index.Manifests {
		if m.MediaType != ocispec.MediaTypeImageManifest {
			return fmt.Errorf("%s is a %q, not an image manifest", m.Digest, m.MediaType)
		}
		if m.Platform == nil || !isWord(m.Platform.OS) || !isWord(m.Platform.Architecture) {
			return fmt.Errorf("manifest %s has no platform, or an odd one", m.Digest)
		}
		if err := checkDescriptor(m); err != nil {
			return err
		}
		name := m.Platform.OS + "/" + m.Platform.Architecture
		if seen[name] {
			return fmt.Errorf("platform %s stands twice", name)
		}
		seen[name] = true
	}
	return nil
}

// isWord says whether s can be a GOOS or a GOARCH.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
}

// refuseMembers refuses a document that is two things at once: an index with layers, a
// manifest with manifests.
func refuseMembers(data []byte, names ...string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := members[name]; ok {
			return fmt.Errorf("it has %q", name)
		}
	}
	return nil
}

func checkDescriptor(desc ocispec.Descriptor) error {
	switch {
	case desc.Digest.Validate() != nil || desc.Digest.Algorithm() != digest.SHA256:
		return fmt.Errorf("%q is not a sha256 digest", desc.Digest)
	case desc.Size < 0:
		return fmt.Errorf("%s has the size %d", desc.Digest, desc.Size)
	case len(desc.URLs) > 0 || desc.Data != nil:
		return fmt.Errorf("%s has urls or data", desc.Digest)
	}
	return nil
}

// openPlatform reads the manifest and the config of a platform, which it returns as well.
func openPlatform(ctx context.Context, s oci.Store, desc ocispec.Descriptor) (Platform, []document, error) {
	p := Platform{Platform: gomod.Platform{OS: desc.Platform.OS, Arch: desc.Platform.Architecture}, Manifest: desc}
	what := "manifest of " + p.String()
	var m ocispec.Manifest
	data, err := oci.FetchDocument(ctx, s, desc, &m)
	if err != nil {
		return p, nil, named(what, desc.Digest, err)
	}
	if err := checkManifest(data, m, p.Platform); err != nil {
		return p, nil, fmt.Errorf("%w: %s %s: %w", ErrMismatch, what, desc.Digest, err)
	}
	p.Config, p.Layers = m.Config, m.Layers
	config, err := p.readConfig(ctx, s)
	if err != nil {
		return p, nil, named("config of "+p.String(), m.Config.Digest, err)
	}
	return p, []document{{desc, data}, {m.Config, config}}, nil
}

func (p *Platform) readConfig(ctx context.Context, s oci.Store) ([]byte, error) {
	if p.Runnable() {
		var image ocispec.Image
		data, err := oci.FetchDocument(ctx, s, p.Config, &image)
		if err == nil {
			err = checkImage(image, *p)
			p.diffIDs = image.RootFS.DiffIDs
		}
		return data, err
	}
	var config bundleConfig
	data, err := oci.FetchDocument(ctx, s, p.Config, &config)
	if err == nil && (config.OS != p.OS || config.Architecture != p.Arch) {
		err = fmt.Errorf("%w: it is for %q/%q", ErrMismatch, config.OS, config.Architecture)
	}
	return data, err
}

func checkManifest(data []byte, m ocispec.Manifest, p gomod.Platform) error {
	switch {
	case m.SchemaVersion != 2:
		return fmt.Errorf("schemaVersion is %d, not 2", m.SchemaVersion)
	case m.MediaType != ocispec.MediaTypeImageManifest:
		return fmt.Errorf("mediaType is %q", m.MediaType)
	case m.Config.MediaType != ocispec.MediaTypeImageConfig && m.Config.MediaType != MediaTypeConfig:
		return fmt.Errorf("the config is a %q", m.Config.MediaType)
	case m.Subject != nil:
		return errors.New("it has a subject")
	}
	if err := refuseMembers(data, "manifests"); err != nil {
		return err
	}
	if err := checkDescriptor(m.Config); err != nil {
		return err
	}
	if len(m.Layers) == 0 || layerKind(m.Layers[len(m.Layers)-1]) != kindGraph {
		return errors.New("its last layer is not the module graph's")
	}
	names := make(map[string]bool)
	for i, l := range m.Layers {
		if err := checkDescriptor(l); err != nil {
			return err
		}
		if l.Annotations[AnnotationGroup] != "" {
			if _, err := parseGroup(l); err != nil {
				return err
			}
		}
		kind := layerKind(l)
		if kind == kindUnknown || kind == kindGraph && i != len(m.Layers)-1 || kind == kindToolchain && i != 0 {
			return fmt.Errorf("layer %d (%s) is none that belongs there", i, l.Digest)
		}
		for _, m := range Members(l) {
			name := layerName(m)
			if names[name] {
				return fmt.Errorf("%q stands twice", name)
			}
			names[name] = true
		}
	}
	if err := checkToolLayers(m.Layers); err != nil {
		return err
	}
	return checkToolchains(m.Layers, p)
}

// checkToolLayers refuses tools that do not stand between the toolchains and the modules, in the order of their names.
func checkToolLayers(layers []ocispec.Descriptor) error {
	for i, l := range layers {
		if layerKind(l) != kindTool || i == 0 {
			continue
		}
		if before := layers[i-1]; layerKind(before) == kindModule || layerKind(before) == kindGroup || layerKind(before) == kindTool && layerName(before) >= layerName(l) {
			return fmt.Errorf("%s stands where it does not belong", layerName(l))
		}
	}
	return nil
}

// checkToolchains refuses toolchains of another platform, and further ones that do not stand right
// behind GOROOT's in the order of their versions.
func checkToolchains(layers []ocispec.Descriptor, p gomod.Platform) error {
	var last module.Version
	for i, l := range layers {
		kind := layerKind(l)
		if kind != kindToolchain && kind != kindToolchainZip {
			continue
		}
		m, _ := layerModule(l)
		if _, goos, goarch, err := toolchain.ParseVersion(m.Version); err != nil || goos != p.OS || goarch != p.Arch {
			return fmt.Errorf("%s is not a toolchain for %s", m, p)
		}
		if kind == kindToolchain {
			continue
		}
		before := kindUnknown
		if i > 0 {
			before = layerKind(layers[i-1])
		}
		if before != kindToolchain && (before != kindToolchainZip || semver.Compare(last.Version, m.Version) >= 0) {
			return fmt.Errorf("%s stands where it does not belong", m)
		}
		last = m
	}
	return nil
}

// checkImage holds an image config against the manifest.
func checkImage(image ocispec.Image, p Platform) error {
	if image.OS != p.OS || image.Architecture != p.Arch {
		return fmt.Errorf("%w: it is for %q/%q", ErrMismatch, image.OS, image.Architecture)
	}
	if image.RootFS.Type != "layers" || len(image.RootFS.DiffIDs) != len(p.Layers) {
		return fmt.Errorf("%w: it has %d diff_ids for %d layers", ErrMismatch, len(image.RootFS.DiffIDs), len(p.Layers))
	}
	for i, l := range p.Layers {
		if l.MediaType == mediaTypeTar && image.RootFS.DiffIDs[i] != l.Digest {
			return fmt.Errorf("%w: diff_id %d is %s, the layer is %s", ErrMismatch, i, image.RootFS.DiffIDs[i], l.Digest)
		}
	}
	return nil
}

// The kinds of layers, as their descriptors show them.
const (
	kindUnknown      = iota
	kindToolchain    // GOROOT
	kindToolchainZip // a further one, for the go command to switch to
	kindTool
	kindModule
	kindGroup // of modules
	kindGraph
)

func layerKind(desc ocispec.Descriptor) int {
	if desc.Annotations[AnnotationGroup] != "" {
		if _, err := parseGroup(desc); err != nil {
			return kindUnknown
		}
		return kindGroup
	}
	m, ok := layerModule(desc)
	switch {
	case desc.MediaType == mediaTypeTar && desc.Annotations[AnnotationLayer] == layerGraph && desc.Annotations[AnnotationModule] == "":
		return kindGraph
	case desc.MediaType == mediaTypeTarGzip && ok && m.Path == toolchainPath:
		return kindToolchain
	case desc.MediaType == mediaTypeTarGzip && desc.Annotations[AnnotationTool] != "" && desc.Annotations[AnnotationModule] == "":
		if _, _, ok := layerTool(desc); ok {
			return kindTool
		}
	case desc.MediaType == mediaTypeTar && ok && m.Path == toolchainPath:
		return kindToolchainZip
	case desc.MediaType == mediaTypeTar && ok:
		return kindModule
	}
	return kindUnknown
}
