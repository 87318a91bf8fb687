package bundle

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A group is a layer of several modules: their own layers one after another, sorted by path and version, each without
// the end of its tar, and that end once. Its descriptor lists them in the annotation dev.goferry.group, a line a module,
// by name, sum, and the size and digest that the module's own layer has or would have:
//
//	golang.org/x/mod@v0.42.0 h1:… 191488 sha256:…
//	golang.org/x/private@v1.0.0 h1:… 3584 sha256:… none
//
// "none" is for what the checksum database does not cover.

// Members returns the layers that a layer is made of: of a group those of its modules, else itself.
func Members(desc ocispec.Descriptor) []ocispec.Descriptor {
	if desc.Annotations[AnnotationGroup] == "" {
		return []ocispec.Descriptor{desc}
	}
	list, err := parseGroup(desc)
	if err != nil {
		return nil // no bundle has such a layer; see checkManifest
	}
	return list
}

// recordModule is the module that a layer has.
func recordModule(desc ocispec.Descriptor) RecordModule {
	m, _ := layerModule(desc)
	return RecordModule{Path: m.Path, Version: m.Version, Sum: desc.Annotations[AnnotationSum], NoSumDB: desc.Annotations[AnnotationSumDB] != ""}
}

// members returns the layers that the platform's layers are made of.
func (p Platform) members() []ocispec.Descriptor {
	var list []ocispec.Descriptor
	for _, l := range p.Layers {
		list = append(list, Members(l)...)
	}
	return list
}

// members returns what is proven on its own in a layer, in the order of its bytes.
func (l proofLayer) members() []proofLayer {
	if l.desc.Annotations[AnnotationGroup] == "" {
		return []proofLayer{l}
	}
	var list []proofLayer
	offset := int64(0)
	for _, desc := range Members(l.desc) {
		list = append(list, proofLayer{desc: desc, platform: l.platform, group: &l.desc, offset: offset})
		offset += desc.Size - tarEnd
	}
	return list
}

// whole is the layer as it is read.
func (l proofLayer) whole() proofLayer {
	if l.group == nil {
		return l
	}
	return proofLayer{desc: *l.group, platform: l.platform}
}

// grouped returns the modules of a group, as "path@version", and none of any other layer.
func grouped(desc ocispec.Descriptor) []string {
	if desc.Annotations[AnnotationGroup] == "" {
		return nil
	}
	var names []string
	for _, m := range Members(desc) {
		names = append(names, layerName(m))
	}
	return names
}

// groupAnnotation lists the modules that have these layers.
func groupAnnotation(modules []ocispec.Descriptor) string {
	var lines []string
	for _, m := range modules {
		line := fmt.Sprintf("%s %s %d %s", m.Annotations[AnnotationModule], m.Annotations[AnnotationSum], m.Size, m.Digest)
		if m.Annotations[AnnotationSumDB] != "" {
			line += " " + sumDBNone
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// parseGroup returns the layers that a group is made of. It takes only what Pack writes.
func parseGroup(desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	text := desc.Annotations[AnnotationGroup]
	for _, other := range []string{AnnotationModule, AnnotationSum, AnnotationSumDB, AnnotationTool, AnnotationLayer} {
		if desc.Annotations[other] != "" {
			return nil, fmt.Errorf("group %s has the annotation %s", desc.Digest, other)
		}
	}
	var list []ocispec.Descriptor
	left := desc.Size - tarEnd
	for line := range strings.SplitSeq(text, "\n") {
		m, err := parseMember(line)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", desc.Digest, err)
		}
		if n := len(list); n > 0 && compareModules(recordModule(list[n-1]), recordModule(m)) >= 0 {
			return nil, fmt.Errorf("group %s: %s stands where it does not belong", desc.Digest, layerName(m))
		}
		if left -= m.Size - tarEnd; left < 0 {
			break
		}
		list = append(list, m)
	}
	if left != 0 {
		return nil, fmt.Errorf("group %s has not the %d bytes of its modules", desc.Digest, desc.Size)
	}
	if len(list) < 2 || groupAnnotation(list) != text || desc.MediaType != mediaTypeTar {
		return nil, fmt.Errorf("group %s is not in the form that goferry writes", desc.Digest)
	}
	return list, nil
}

// parseMember reads one line of a group.
func parseMember(line string) (ocispec.Descriptor, error) {
	m := ocispec.Descriptor{MediaType: mediaTypeTar, Annotations: make(map[string]string)}
	words := strings.Split(line, " ")
	if len(words) == 5 && words[4] == sumDBNone {
		m.Annotations[AnnotationSumDB] = sumDBNone
		words = words[:4]
	}
	if len(words) != 4 {
		return m, fmt.Errorf("%q is no module", line)
	}
	m.Annotations[AnnotationModule], m.Annotations[AnnotationSum] = words[0], words[1]
	var err error
	if m.Size, err = strconv.ParseInt(words[2], 10, 64); err != nil || m.Size <= tarEnd || m.Size%tarBlock != 0 {
		return m, fmt.Errorf("%s: %q is not the size of a layer", words[0], words[2])
	}
	m.Digest = digest.Digest(words[3])
	if layerKind(m) != kindModule {
		return m, fmt.Errorf("%q is no module", words[0])
	}
	return m, checkDescriptor(m)
}
