package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/semver"
	"golang.org/x/sync/errgroup"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// layers writes the layers of toolchains, tools and modules. The modules' come in the order of the
// capture, which is that of the record.
func (p *packer) layers(ctx context.Context) (map[gomod.Platform][]layer, []layer, error) {
	goroots, further := p.toolchains()
	sources, err := p.sources(goroots, further)
	if err != nil {
		return nil, nil, err
	}
	out, err := p.writeLayers(ctx, sources)
	if err != nil {
		return nil, nil, err
	}
	tools, out := out[:len(p.captured.Tools)], out[len(p.captured.Tools):]
	byPlatform := make(map[gomod.Platform][]layer)
	toolchains := append(goroots, further...)
	for i, t := range toolchains {
		byPlatform[t.Platform] = append(byPlatform[t.Platform], out[i])
	}
	for i, t := range p.captured.Tools {
		byPlatform[t.Platform] = append(byPlatform[t.Platform], tools[i])
	}
	return byPlatform, out[len(toolchains):], nil
}

// sources returns what the layers are made of: tools, toolchains, and modules, in groups where there is a layer budget.
func (p *packer) sources(goroots, further []gomod.Toolchain) (sources []source, err error) {
	for _, t := range p.captured.Tools {
		s, err := toolSource(t)
		if err != nil {
			return nil, fmt.Errorf("pack tool %s@%s: %w", t.Package, t.Version, err)
		}
		sources = append(sources, s)
	}
	for _, t := range goroots {
		sources = append(sources, toolchainSource(t))
	}
	var modules []gomod.Module
	for _, t := range further {
		modules = append(modules, t.Module)
	}
	zips, err := moduleSources(append(modules, p.captured.Modules...))
	if err != nil {
		return nil, err
	}
	sources, zips = append(sources, zips[:len(further)]...), zips[len(further):]
	for _, group := range p.groups(p.captured.Modules) {
		var together []source
		for _, i := range group {
			together = append(together, zips[i])
		}
		sources = append(sources, groupSource(together))
	}
	return sources, nil
}

// toolchains returns those that become GOROOT, one a platform, and the further ones in the order of
// their layers.
func (p *packer) toolchains() (goroots, further []gomod.Toolchain) {
	for _, t := range p.captured.Toolchains {
		if t.Version == p.captured.GoVersion {
			goroots = append(goroots, t)
		} else {
			further = append(further, t)
		}
	}
	slices.SortFunc(further, func(a, b gomod.Toolchain) int { return semver.Compare(a.Module.Version, b.Module.Version) })
	return goroots, further
}

// writeLayers works on the largest sources first, so that the cores finish together; the
// result is in the order of sources.
func (p *packer) writeLayers(ctx context.Context, sources []source) ([]layer, error) {
	var total int64
	for _, s := range sources {
		total += s.size
	}
	if err := oci.CheckRoom(p.dst, len(sources), total); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	p.report(Event{Stage: "pack", TotalItems: len(sources), TotalBytes: total})
	order := make([]int, len(sources))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(sources[b].size, sources[a].size) })

	one, direct := p.writer()
	out := make([]layer, len(sources))
	err := parallel(ctx, runtime.GOMAXPROCS(0), order, func(ctx context.Context, i int) error {
		l, err := one(ctx, sources[i])
		if err != nil {
			return wrapPack(sources[i].name, err)
		}
		out[i] = l
		p.report(Event{Stage: "pack", Item: sources[i].name, Items: 1, Bytes: sources[i].size})
		return nil
	})
	if err != nil || direct {
		return out, err
	}
	return out, p.pushLayers(ctx, sources, out)
}

// writer returns how one layer is made: directly into a store that learns the digest from the
// bytes, or measured first, to be pushed afterwards.
func (p *packer) writer() (one func(context.Context, source) (layer, error), direct bool) {
	if ingester, ok := p.dst.(oci.Ingester); ok {
		return func(ctx context.Context, s source) (layer, error) { return p.ingest(ctx, ingester, s) }, true
	}
	return p.measure, false
}

// pushLayers sends the layers that have been measured, in the order of sources, and keeps in mind how to send them again.
func (p *packer) pushLayers(ctx context.Context, sources []source, layers []layer) error {
	blobs := make([]oci.Blob, len(layers))
	var total int64
	for i, l := range layers {
		blobs[i] = oci.Blob{Descriptor: l.desc, Open: sources[i].open}
		total += l.desc.Size
	}
	p.sent = append(p.sent, blobs...)
	atomic.AddInt64(&p.bytes, total)
	p.report(Event{Stage: "push", TotalItems: len(layers), TotalBytes: total})
	return oci.Push(ctx, p.dst, p.tag, blobs, oci.CopyOptions{
		OnCopied: func(desc ocispec.Descriptor) { p.report(Event{Stage: "push", Item: layerName(desc), Items: 1}) },
		OnSkipped: func(desc ocispec.Descriptor) {
			p.report(Event{Stage: "push", Item: layerName(desc), Items: 1, Bytes: desc.Size, Skipped: true})
		},
		OnBytes: func(n int64) { p.report(Event{Stage: "push", Bytes: n}) },
	})
}

// parallel calls f for each of items, in order, on so many goroutines, and returns the first
// error.
func parallel[T any](ctx context.Context, workers int, items []T, f func(context.Context, T) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for _, item := range items {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			return f(gctx, item)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func wrapPack(name string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("pack %s: %w", name, err)
}

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 512<<10); return &b }}

// copyAll is io.Copy with a large buffer, used again, that ends when ctx does.
func copyAll(ctx context.Context, w io.Writer, r io.Reader) (int64, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := r.Read(*buf)
		total += int64(n)
		if n > 0 {
			if _, err := w.Write((*buf)[:n]); err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
