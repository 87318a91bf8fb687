package bundle

import (
	"context"
	"errors"
	"path"
)

// chooseTools adds the layers of the tools that m has. Of those that it has not nothing is read.
func (u *unpacker) chooseTools(m *merged, parts []part) {
	for i, b := range u.bundles {
		for _, l := range b.layers() {
			if layerKind(l.desc) == kindTool && m.has(l, parts[i].record) {
				u.layers[layerName(l.desc)] = siteLayer{b.Name, b.Verified, l}
			}
		}
	}
}

// tool links or writes the executable of a tool's layer, beside GOROOT's.
func (u *unpacker) tool(ctx context.Context, g *generation, l siteLayer) error {
	pkg, _, _ := layerTool(l.desc)
	file, err := toolFile(pkg, l.platform)
	if err != nil {
		return err
	}
	name := path.Join(genGo, "bin", path.Base(file))
	if files := u.linkable(g, l); files != nil {
		if err := g.link(l.proofLayer, false, files); err != nil {
			return err
		}
		l.v.report(Event{Stage: l.v.stage, Bytes: l.desc.Size, Skipped: true})
		return u.linkedTool(g, l, name)
	}
	if u.stays(l.v) {
		return u.touched(l.name, errors.New("not the files that were unpacked"))
	}
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
	w.done()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tools[l.desc.Digest] = c
	u.result.Tools++
	u.result.Written += l.desc.Size
	return nil
}

// linkedTool remembers what the graph is checked against, for a tool that was not read.
func (u *unpacker) linkedTool(g *generation, l siteLayer, name string) error {
	f, err := g.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := readInfo(f)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tools[l.desc.Digest] = toolContent{info: info}
	u.result.Tools++
	u.result.Linked++
	return nil
}
