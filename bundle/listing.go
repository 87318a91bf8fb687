package bundle

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci"
)

// A Listing is what a bundle has by its documents, an unpacked directory by what it keeps of its bundles, or what a
// go.mod file asks for, to be compared by [Diff].
type Listing struct {
	digests    []digest.Digest         // of indexes
	modules    versions                // by path
	toolchains versions                // by platform: "go linux/amd64"; of a go.mod file "go"
	tools      versions                // by package and platform
	layers     map[digest.Digest]int64 // sizes
	documents  int64                   // bytes of indexes, manifests and configs
	asks       bool                    // a go.mod file
	plugins    bool                    // a project loads plugins
}

// versions are the versions of each name, with what distinguishes two of the same number: a sum, or "".
type versions map[string]map[string]string

func (v versions) add(name, version, sum string) {
	if v[name] == nil {
		v[name] = make(map[string]string)
	}
	v[name][version] = sum
}

func newListing() *Listing {
	return &Listing{modules: make(versions), toolchains: make(versions), tools: make(versions), layers: make(map[digest.Digest]int64)}
}

// ListBundle lists what target has. With graph that includes the modules of which it has only the go.mod file, for a
// comparison with a go.mod file; they stand in the module graph's layer, which is read for that.
func ListBundle(ctx context.Context, s oci.Store, target string, graph bool) (*Listing, error) {
	v, err := open(ctx, s, target)
	if err != nil {
		return nil, err
	}
	l := newListing()
	l.add(v, v.Platforms)
	if graph {
		v.report = reporter(nil)
		err = l.addGraph(ctx, v)
	}
	return l, err
}

// ListUnpacked lists the bundles that were unpacked into dir, for its platform, as ListBundle does.
func ListUnpacked(ctx context.Context, dir string, graph bool) (*Listing, error) {
	at, err := unpackedAt(dir)
	if err == nil {
		at, err = filepath.EvalSymlinks(at)
	}
	if err != nil {
		return nil, err
	}
	kept, verified, err := openUnpacked(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	defer kept.Close()
	was, err := readState(at)
	if err != nil {
		return nil, err
	}
	l := newListing()
	for _, v := range verified {
		for _, p := range v.Platforms {
			if p.String() == was.Platform {
				l.add(v, []Platform{p})
			}
		}
		if graph {
			err = errors.Join(err, l.addGraph(ctx, v))
		}
	}
	return l, err
}

// ListGoMod lists what a go.mod file asks for, with the sums of the go.sum file beside it.
func ListGoMod(name string) (*Listing, error) {
	required, err := gomod.ReadRequired(name)
	if err != nil {
		return nil, err
	}
	l := newListing()
	l.asks = true
	for m, sum := range required.Modules {
		l.modules.add(m.Path, m.Version, sum)
	}
	if required.GoVersion != "" {
		l.toolchains.add("go", required.GoVersion, "")
	}
	return l, nil
}

func (l *Listing) add(v *Verified, platforms []Platform) {
	l.digests = append(l.digests, v.Index.Digest)
	l.plugins = l.plugins || loadsPlugins(v.annotations)
	l.documents += v.Index.Size
	for _, p := range platforms {
		l.documents += p.Manifest.Size + p.Config.Size
		for _, layer := range p.Layers {
			l.layers[layer.Digest] = layer.Size
		}
		for _, m := range p.members() {
			l.addLayer(p, m)
		}
	}
}

// addGraph adds the modules of which a bundle has only the go.mod file.
func (l *Listing) addGraph(ctx context.Context, v *Verified) error {
	record, _, err := v.openGraph(ctx)
	if err != nil {
		return fmt.Errorf("module graph: %w", err)
	}
	for _, m := range record.Modules {
		if m.Sum == "" {
			l.modules.add(m.Path, m.Version, "")
		}
	}
	return nil
}

func (l *Listing) addLayer(p Platform, layer ocispec.Descriptor) {
	switch layerKind(layer) {
	case kindModule, kindToolchain, kindToolchainZip, kindTool:
		l.addNamed(p.String(), layerName(layer), layer.Annotations[AnnotationSum], layer.Digest)
	}
}

// addNamed adds what a layer of that name has.
func (l *Listing) addNamed(platform, name, sum string, layer digest.Digest) {
	tool, isTool := strings.CutPrefix(name, "tool ")
	path, version, _ := strings.Cut(tool, "@")
	switch {
	case isTool:
		l.tools.add(path+" "+platform, version, layer.String())
	case path == toolchainPath:
		if version, _, _, err := toolchain.ParseVersion(version); err == nil {
			l.toolchains.add("go "+platform, version, sum)
		}
	default:
		l.modules.add(path, version, sum)
	}
}
