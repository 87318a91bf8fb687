package bundle

import (
	"context"
	"path"
)

// chooseTools adds the layers of the tools that the merged bundles have. Of others nothing is read.
func (u *unpacker) chooseTools() {
	for i, b := range u.bundles {
		for _, l := range b.layers() {
			if layerKind(l.desc) == kindTool && u.merged.has(l, u.parts[i].record) {
				u.layers[layerName(l.desc)] = siteLayer{b.Name, b.Verified, l}
			}
		}
	}
}

// tool writes the executable of a tool's layer, beside GOROOT's.
func (u *unpacker) tool(ctx context.Context, g *generation, l siteLayer) error {
	pkg, _, _ := layerTool(l.desc)
	file, err := toolFile(pkg, l.platform)
	if err != nil {
		return err
	}
	name := path.Join(genGo, "bin", path.Base(file))
	w := g.layer(l.proofLayer, false)
	f, err := w.create(name, 0o755)
	if err != nil {
		return err
	}
	c, err := l.v.readTool(ctx, l.proofLayer, f)
	if err != nil {
		f.Close()
		return err
	}
	if err := w.close(f); err != nil {
		return err
	}
	w.state.DiffID = c.diffID // which the digest does not tell without the compressor
	w.done()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tools[l.desc.Digest] = c
	return nil
}
