package bundle

import (
	"cmp"
	"context"
	"go/version"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle/toolchain"
)

// choose decides which layers are unpacked: each name once, and of the toolchains that are a GOROOT
// the newest as such. A bundle that stays has only those layers of which the generation has the files.
func (u *unpacker) choose(g *generation) {
	newest, goroot := "", siteLayer{}
	for _, b := range u.bundles {
		for _, l := range b.layers() {
			if layerKind(l.desc) != kindToolchain {
				continue
			}
			m, _ := layerModule(l.desc)
			if v, _, _, err := toolchain.ParseVersion(m.Version); err == nil && version.Compare(v, newest) > 0 {
				newest, goroot = v, siteLayer{b.Name, b.Verified, l}
			}
		}
	}
	lost := func(l siteLayer) bool {
		_, there := g.before.Layers[l.desc.Digest]
		return !there && u.stays(l.v)
	}
	u.layers, u.goroot = chooseLayers(u.bundles, lost), layerName(goroot.desc)
	if newest != "" && layerKind(u.layers[u.goroot].desc) != kindToolchain { // another bundle has it as a further one
		u.layers[u.goroot] = goroot
	}
}

// larger sorts layers by size, the largest first.
func (l siteLayer) larger(other siteLayer) int {
	return cmp.Or(cmp.Compare(other.desc.Size, l.desc.Size), cmp.Compare(l.desc.Digest, other.desc.Digest))
}

// contentsOf returns what was read of the bundle's own modules. Where another layer was chosen that is
// nothing: its .info file may be another one.
func (u *unpacker) contentsOf(b SiteBundle) map[string]moduleContent {
	contents := make(map[string]moduleContent)
	for _, l := range b.siteLayers() {
		name := layerName(l.desc)
		if c, ok := u.contents[name]; ok && u.layers[name].desc.Digest == l.desc.Digest {
			contents[name] = c
		}
	}
	return contents
}

func (u *unpacker) isGOROOT(l siteLayer) bool {
	return layerKind(l.desc) == kindToolchain && layerName(l.desc) == u.goroot
}

// blobs returns the blobs that the layers are in, each once, the largest first.
func (u *unpacker) blobs() []siteLayer {
	type blob struct {
		v      *Verified
		digest digest.Digest
	}
	seen := make(map[blob]bool)
	var list []siteLayer
	for _, l := range u.layers {
		if key := (blob{l.v, l.blob().Digest}); !seen[key] {
			seen[key] = true
			list = append(list, siteLayer{l.name, l.v, l.whole()})
		}
	}
	slices.SortFunc(list, siteLayer.larger)
	return list
}

// takes says whether a layer is unpacked, as it is in this blob of this bundle.
func (u *unpacker) takes(l siteLayer) bool {
	chosen, ok := u.layers[layerName(l.desc)]
	return ok && chosen.v == l.v && chosen.blob().Digest == l.blob().Digest
}

// wanted returns what has to be read of a blob: the layers that are unpacked and not linked.
func (u *unpacker) wanted(l siteLayer) map[string]bool {
	names := make(map[string]bool)
	for _, m := range l.members() {
		if name := layerName(m.desc); u.takes(m) && u.links[name] == nil {
			names[name] = true
		}
	}
	return names
}

// layer links or writes what one blob holds.
func (u *unpacker) layer(ctx context.Context, g *generation, l siteLayer) error {
	for _, m := range l.members() {
		files := u.links[layerName(m.desc)]
		if !u.takes(m) || files == nil {
			continue
		}
		if err := g.link(m.proofLayer, u.isGOROOT(m), files); err != nil {
			return err
		}
	}
	wanted := u.wanted(l)
	if len(wanted) == 0 {
		l.v.report(Event{Stage: l.v.stage, Bytes: l.desc.Size, Skipped: true})
		return nil
	}
	if err := u.read(ctx, g, l, wanted); err != nil {
		return err
	}
	u.mu.Lock()
	u.result.Written += l.desc.Size
	u.mu.Unlock()
	return nil
}

// read writes what a blob holds, as far as it is wanted.
func (u *unpacker) read(ctx context.Context, g *generation, l siteLayer, wanted map[string]bool) error {
	switch layerKind(l.desc) {
	case kindTool:
		return u.tool(ctx, g, l)
	case kindToolchain:
		return u.toolchain(ctx, g.layer(l.proofLayer, u.isGOROOT(l)), l)
	}
	return l.v.readModules(ctx, l.proofLayer, func(m proofLayer, b *blobReader) error {
		if !wanted[layerName(m.desc)] {
			return nil
		}
		return u.module(ctx, g.layer(m, false), b)
	})
}

// module writes the three files of a module, the zip while it is proven.
func (u *unpacker) module(ctx context.Context, w *layerWriter, b *blobReader) error {
	m, _ := layerModule(b.desc)
	name, err := moduleFile(m, "")
	if err != nil {
		return err
	}
	name = genDownload + strings.TrimPrefix(name, downloadDir)
	zip, err := w.create(name+".zip", 0o644)
	if err != nil {
		return err
	}
	content, err := b.module(ctx, zip)
	if err != nil {
		zip.Close()
		return err
	}
	if err := w.close(zip); err != nil {
		return err
	}
	if err := w.write(name+".info", content.info); err != nil {
		return err
	}
	if err := w.write(name+".mod", content.mod); err != nil {
		return err
	}
	u.mu.Lock()
	u.contents[m.String()] = content
	u.mu.Unlock()
	if !u.opts.Extract {
		w.done()
		return nil
	}
	if err := w.write(name+".ziphash", []byte(b.desc.Annotations[AnnotationSum])); err != nil {
		return err
	}
	if err := w.extract(m, name+".zip"); err != nil {
		return err
	}
	w.done()
	return nil
}
