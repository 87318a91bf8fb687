package bundle

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// Info is what a bundle's documents say of it. Sizes are in bytes.
type Info struct {
	MediaType   string            `json:"mediaType"`
	Digest      digest.Digest     `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platforms   []PlatformInfo    `json:"platforms"`
	Modules     []LayerInfo       `json:"modules"`    // sorted by path and version
	Toolchains  []LayerInfo       `json:"toolchains"` // in the order of the layers
	Tools       []LayerInfo       `json:"tools"`      // likewise
	Graph       []LayerInfo       `json:"graph"`      // one, which all platforms share
	Blobs       int               `json:"blobs"`      // all, each counted once
	Size        int64             `json:"size"`       // of all blobs, each counted once
	NotInSumDB  []string          `json:"notInSumDB,omitempty"`
	Cgo         []CgoPackage      `json:"cgo"`             // what the projects need a C compiler for
	Delta       *oci.Delta        `json:"delta,omitempty"` // what is said of blobs that were left out
}

// PlatformInfo is what a bundle has for one platform.
type PlatformInfo struct {
	OS           string        `json:"os"`
	Architecture string        `json:"architecture"`
	Digest       digest.Digest `json:"digest"` // of the manifest
	Runnable     bool          `json:"runnable"`
	Toolchain    string        `json:"toolchain,omitempty"`  // GOROOT: "golang.org/toolchain@…"
	Toolchains   []string      `json:"toolchains,omitempty"` // all, GOROOT first
	Layers       int           `json:"layers"`
	Size         int64         `json:"size"` // of manifest, config and layers
}

// LayerInfo is one layer and what is in it, or a module in a layer of several.
type LayerInfo struct {
	Module    string        `json:"module,omitempty"` // "path@version"; empty for tools and the graph
	Tool      string        `json:"tool,omitempty"`   // "package@version"
	Sum       string        `json:"sum,omitempty"`    // "h1:…"
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`               // of the layer
	Size      int64         `json:"size"`                 // of the layer; of a module in a group, that of its part
	Group     int           `json:"group,omitempty"`      // how many modules the layer has; 0: it is no group
	Platforms []string      `json:"platforms"`            // that have the layer
	Shared    bool          `json:"shared"`               // all platforms have it
	NoSumDB   bool          `json:"notInSumDB,omitempty"` // the checksum database does not cover it

	kind int
}

// Inspect says what is in the bundle that target names. It reads the documents and no layer,
// so nothing of what it says of the layers is proven.
func Inspect(ctx context.Context, s oci.Store, target string) (*Info, error) {
	v, err := open(ctx, s, target)
	if err != nil {
		return nil, err
	}
	return v.Info(), nil
}

// Info says what the bundle's documents say, for those of its platforms that were asked for.
func (v *Verified) Info() *Info {
	info := &Info{MediaType: v.Index.MediaType, Digest: v.Index.Digest, Annotations: v.annotations, Cgo: parseCgo(v.annotations[AnnotationCgo]), Delta: v.Delta}
	sizes := map[digest.Digest]int64{v.Index.Digest: v.Index.Size}
	layers := make(map[digest.Digest]*LayerInfo)
	var order []*LayerInfo
	for _, p := range v.Platforms {
		pi := PlatformInfo{
			OS: p.OS, Architecture: p.Arch, Digest: p.Manifest.Digest, Runnable: p.Runnable(),
			Layers: len(p.Layers), Size: p.Manifest.Size + p.Config.Size,
		}
		sizes[p.Manifest.Digest], sizes[p.Config.Digest] = p.Manifest.Size, p.Config.Size
		for _, l := range p.Layers {
			pi.add(l)
			sizes[l.Digest] = l.Size
			members := Members(l)
			for _, m := range members {
				li := layers[m.Digest]
				if li == nil {
					li = layerInfo(m, l, len(members))
					layers[m.Digest] = li
					order = append(order, li)
				}
				li.Platforms = append(li.Platforms, p.String())
				li.Shared = len(li.Platforms) == len(v.Platforms)
			}
		}
		info.Platforms = append(info.Platforms, pi)
	}
	info.sort(order)
	for size := range maps.Values(sizes) {
		info.Blobs++
		info.Size += size
	}
	return info
}

func (p *PlatformInfo) add(l ocispec.Descriptor) {
	p.Size += l.Size
	switch layerKind(l) {
	case kindToolchain:
		p.Toolchain = layerName(l)
		p.Toolchains = append(p.Toolchains, layerName(l))
	case kindToolchainZip:
		p.Toolchains = append(p.Toolchains, layerName(l))
	}
}

// layerInfo is what there is to say of m in the layer in, which may be the same or have so many more.
func layerInfo(m, in ocispec.Descriptor, members int) *LayerInfo {
	li := &LayerInfo{
		Module: m.Annotations[AnnotationModule], Tool: m.Annotations[AnnotationTool], Sum: m.Annotations[AnnotationSum],
		MediaType: in.MediaType, Digest: in.Digest, Size: m.Size, NoSumDB: m.Annotations[AnnotationSumDB] != "", kind: layerKind(m),
	}
	if m.Digest != in.Digest {
		li.Group = members
		li.Size -= tarEnd
	}
	return li
}

// module is the module of a module's layer.
func (li *LayerInfo) module() RecordModule {
	path, version, _ := strings.Cut(li.Module, "@")
	return RecordModule{Path: path, Version: version}
}

// sort puts the layers into the lists of their kinds.
func (info *Info) sort(order []*LayerInfo) {
	slices.SortStableFunc(order, func(a, b *LayerInfo) int {
		if a.kind != kindModule || b.kind != kindModule {
			return cmp.Compare(a.kind, b.kind)
		}
		return compareModules(a.module(), b.module())
	})
	info.Modules, info.Toolchains, info.Tools, info.Graph = []LayerInfo{}, []LayerInfo{}, []LayerInfo{}, []LayerInfo{}
	for _, li := range order {
		list := &info.Modules
		switch li.kind {
		case kindToolchain, kindToolchainZip:
			list = &info.Toolchains
		case kindTool:
			list = &info.Tools
		case kindGraph:
			list = &info.Graph
		}
		*list = append(*list, *li)
		if li.NoSumDB && !slices.Contains(info.NotInSumDB, li.Module) {
			info.NotInSumDB = append(info.NotInSumDB, li.Module)
		}
	}
}
