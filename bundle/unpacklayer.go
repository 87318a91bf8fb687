package bundle

import (
	"cmp"
	"context"
	"errors"
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

// linkable returns the files that the current generation has of a layer; none where it has to be read.
func (u *unpacker) linkable(g *generation, l siteLayer) []stateFile {
	if kind := layerKind(l.desc); kind != kindToolchain && kind != kindTool && u.opts.Extract != g.before.Extract {
		return nil
	}
	return g.linkable(l.proofLayer, u.isGOROOT(l))
}

// layer links or writes what one layer holds.
func (u *unpacker) layer(ctx context.Context, g *generation, l siteLayer) error {
	if layerKind(l.desc) == kindTool {
		return u.tool(ctx, g, l)
	}
	m, _ := layerModule(l.desc)
	isModule := layerKind(l.desc) != kindToolchain // a further toolchain is one too
	if layerKind(l.desc) == kindModule {
		u.mu.Lock()
		u.result.Modules++
		u.mu.Unlock()
	}
	if files := u.linkable(g, l); files != nil {
		if err := g.link(l.proofLayer, u.isGOROOT(l), files); err != nil {
			return err
		}
		l.v.report(Event{Stage: l.v.stage, Bytes: l.desc.Size, Skipped: true})
		return u.linkedLayer(g, l, m, isModule)
	}
	if u.stays(l.v) {
		return u.touched(l.name, errors.New("not the files that were unpacked"))
	}
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

// linkedLayer remembers what the graph is checked against, for a layer that was not read.
func (u *unpacker) linkedLayer(g *generation, l siteLayer, m module.Version, isModule bool) error {
	var content moduleContent
	if isModule {
		for ext, data := range map[string]*[]byte{".info": &content.info, ".mod": &content.mod} {
			name, err := moduleFile(m, ext)
			if err != nil {
				return err
			}
			if *data, err = g.read(genDownload + strings.TrimPrefix(name, downloadDir)); err != nil {
				return err
			}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.contents[layerName(l.desc)] = content
	u.result.Linked++
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
