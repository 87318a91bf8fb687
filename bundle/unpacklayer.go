package bundle

import (
	"cmp"
	"context"
	"go/version"
	"strings"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/toolchain"
)

// choose decides which layers are unpacked: each name once, and of the toolchains that are a GOROOT
// the newest as such.
func (u *unpacker) choose() {
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
	u.layers, u.goroot = chooseLayers(u.bundles), layerName(goroot.desc)
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
	for _, l := range b.layers() {
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

// layer links or writes what one layer holds.
func (u *unpacker) layer(ctx context.Context, g *generation, l siteLayer) error {
	if files := u.links[layerName(l.desc)]; files != nil {
		l.v.report(Event{Stage: l.v.stage, Bytes: l.desc.Size, Skipped: true})
		return g.link(l.proofLayer, u.isGOROOT(l), files)
	}
	if layerKind(l.desc) == kindTool {
		return u.tool(ctx, g, l)
	}
	m, _ := layerModule(l.desc)
	isModule := layerKind(l.desc) != kindToolchain // a further toolchain is one too
	var err error
	w := g.layer(l.proofLayer, u.isGOROOT(l))
	if isModule {
		err = u.module(ctx, w, l, m)
	} else {
		err = u.toolchain(ctx, w, l, m)
	}
	if err != nil {
		return err
	}
	w.done()
	u.mu.Lock()
	u.result.Written += l.desc.Size
	u.mu.Unlock()
	return nil
}

// module writes the three files of a module, the zip while it is proven.
func (u *unpacker) module(ctx context.Context, w *layerWriter, l siteLayer, m module.Version) error {
	name, err := moduleFile(m, "")
	if err != nil {
		return err
	}
	name = genDownload + strings.TrimPrefix(name, downloadDir)
	zip, err := w.create(name+".zip", 0o644)
	if err != nil {
		return err
	}
	content, err := l.v.readModule(ctx, l.desc, zip)
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
		return nil
	}
	if err := w.write(name+".ziphash", []byte(l.desc.Annotations[AnnotationSum])); err != nil {
		return err
	}
	return w.extract(m, name+".zip")
}
