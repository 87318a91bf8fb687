package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/sumdb"
	"github.com/goferry/goferry/oci"
)

// packer is one run of Pack.
type packer struct {
	dst      oci.Store
	tag      string
	opts     PackOptions
	report   func(Event)
	captured *gomod.Captured
	release  func() // lets go of the files of captured
	proofs   *proofs
	db       *sumdb.DB

	order    []*expected          // the largest first
	expected map[string]*expected // the same by "path@version"
	record   *Record              // begun by begin, completed by complete
	sumdb    map[string][]byte    // files of the checksum database, by name below the download directory
	head     []byte               // that they are written for
	bytes    int64
	sent     []oci.Blob // layers, to a store that has to know their digests
}

// write writes the layers, then the documents that name them, then the tag.
func (p *packer) write(ctx context.Context) (Packed, error) {
	var own map[gomod.Platform][]layer // toolchains and tools
	var modules []layer
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		own, modules, err = p.layers(gctx)
		return err
	})
	g.Go(func() error {
		if err := p.lookUp(gctx); err != nil {
			return err
		}
		return p.sumDBFiles(gctx)
	})
	g.Go(func() error {
		p.record.Cgo = recordCgo(p.captured.Cgo())
		return nil
	})
	if err := g.Wait(); err != nil {
		return Packed{}, err
	}
	if err := p.complete(slices.Concat(slices.AppendSeq([][]layer{modules}, maps.Values(own))...)); err != nil {
		return Packed{}, err
	}
	graph, err := p.graph(ctx)
	if err != nil {
		return Packed{}, err
	}
	shared := append(modules, graph)
	count := len(shared) + len(own[p.platforms()[0]]) // as many on each platform
	packed := Packed{Runnable: count <= max(MaxImageLayers, p.opts.LayerBudget), Layers: count, Modules: len(p.record.zips())}

	var created *time.Time
	if !p.opts.Created.IsZero() {
		t := p.opts.Created.UTC()
		created = &t
	}
	var manifests []ocispec.Descriptor
	for _, platform := range p.platforms() {
		layers := slices.Concat(own[platform], shared)
		desc, err := p.manifest(ctx, ocispec.Platform{OS: platform.OS, Architecture: platform.Arch}, layers, packed.Runnable, created)
		if err != nil {
			return Packed{}, fmt.Errorf("pack %s/%s: %w", platform.OS, platform.Arch, err)
		}
		manifests = append(manifests, desc)
	}
	p.release()
	index, err := p.record.index(manifests, created)
	if err != nil {
		return Packed{}, fmt.Errorf("pack: %w", err)
	}
	p.describe(&packed, index.desc)
	if p.opts.Expect != nil {
		if err := p.opts.Expect(packed); err != nil {
			return Packed{}, err
		}
	}
	if err := p.put(ctx, index); err != nil {
		return Packed{}, err
	}
	packed.Bytes = p.bytes
	if err := p.beforeTag(ctx, index.desc); err != nil {
		return Packed{}, err
	}
	if err := p.dst.Tag(ctx, index.desc, p.tag); err != nil {
		return Packed{}, err
	}
	if p.head != nil && p.opts.CacheDir != "" {
		sumdb.RememberPacked(p.sumDBCache(), p.record.sumDBName(), p.head)
	}
	return packed, nil
}

// describe says what the bundle with this index is.
func (p *packer) describe(packed *Packed, index ocispec.Descriptor) {
	packed.Descriptor, packed.Record, packed.asked = index, p.record, p.opts
	packed.asked.Platforms = p.platforms()
	for _, m := range p.captured.Extra {
		packed.Extra = append(packed.Extra, m.String())
	}
	for _, m := range p.captured.Modules {
		if m.Local {
			packed.locals = append(packed.locals, m.Path+"@"+m.Version)
		}
	}
	if packed.TreeHeads = slices.Clone(p.record.TreeHeads); p.head != nil {
		packed.TreeHeads = append(packed.TreeHeads, string(p.head))
	}
}

func (p *packer) beforeTag(ctx context.Context, index ocispec.Descriptor) error {
	if p.opts.BeforeTag == nil {
		return nil
	}
	v, err := Verify(ctx, p.dst, index.Digest.String(), VerifyOptions{Progress: p.opts.Progress, CacheDir: p.opts.CacheDir})
	if err != nil {
		return err
	}
	return p.opts.BeforeTag(ctx, v)
}

// platforms returns the platforms asked for, each once, sorted.
func (p *packer) platforms() []gomod.Platform {
	list := slices.Clone(p.opts.Platforms)
	slices.SortFunc(list, func(a, b gomod.Platform) int {
		return strings.Compare(a.OS+"/"+a.Arch, b.OS+"/"+b.Arch)
	})
	return slices.Compact(list)
}

func (p *packer) manifest(ctx context.Context, platform ocispec.Platform, layers []layer, runnable bool, created *time.Time) (ocispec.Descriptor, error) {
	config, err := p.record.config(platform, layers, runnable, created)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := p.put(ctx, config); err != nil {
		return ocispec.Descriptor{}, err
	}
	m, err := p.record.manifest(config.desc, layers, created)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := p.putManifest(ctx, m); err != nil {
		return ocispec.Descriptor{}, err
	}
	m.desc.Platform = &platform
	m.desc.ArtifactType = "" // Harbor and old registries stumble over it in an index
	return m.desc, nil
}

// put pushes a document, or finds it there.
func (p *packer) put(ctx context.Context, d document) error {
	atomic.AddInt64(&p.bytes, d.desc.Size)
	if there, err := p.dst.Exists(ctx, d.desc); err != nil || there {
		return err
	}
	return p.dst.Push(ctx, d.desc, bytes.NewReader(d.data))
}

// putManifest pushes a manifest. A registry gets it also if it has it: then it sees whether it has all that it names. If
// it has lost any of that it is sent what it lacks.
func (p *packer) putManifest(ctx context.Context, m document) error {
	if len(p.sent) == 0 {
		return p.put(ctx, m)
	}
	push := func() error { return p.dst.Push(ctx, m.desc, bytes.NewReader(m.data)) }
	atomic.AddInt64(&p.bytes, m.desc.Size)
	err := push()
	if errors.Is(err, oci.ErrNotFound) {
		if err := oci.Push(ctx, p.dst, "", p.sent, oci.CopyOptions{}); err != nil {
			return err
		}
		err = push()
	}
	return err
}

// graph writes the graph layer.
func (p *packer) graph(ctx context.Context) (layer, error) {
	infos, mods := make(map[string][]byte), make(map[string][]byte)
	for _, m := range slices.Concat(p.captured.Modules, p.captured.GraphOnly) {
		infos[m.Path+"@"+m.Version] = m.Info
		mods[m.Path+"@"+m.Version] = m.Mod
	}
	files, err := graphFiles(p.record, infos, mods)
	if err != nil {
		return layer{}, fmt.Errorf("pack the module graph: %w", err)
	}
	if err := p.record.checkWords(); err != nil {
		return layer{}, fmt.Errorf("pack the record: %w", err)
	}
	for name, data := range p.sumdb {
		files[downloadDir+name] = data
	}
	if files[recordName], err = p.record.encode(); err != nil {
		return layer{}, fmt.Errorf("pack the record: %w", err)
	}
	src := source{name: layerGraph, mediaType: mediaTypeTar, open: func(context.Context) (io.ReadCloser, error) {
		return piped(func(w io.Writer) error { return writeGraph(w, files) }), nil
	}}
	one, direct := p.writer()
	l, err := one(ctx, src)
	if err != nil || direct {
		return l, err
	}
	return l, p.pushLayers(ctx, []source{src}, []layer{l})
}
