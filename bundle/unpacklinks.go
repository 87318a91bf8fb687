package bundle

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
)

// findLinks finds what the current generation has of the layers and is right, by its bytes, and what is not. Times do not
// count: a disk that forgets a bit keeps the time, and a copy of a directory has others.
func (u *unpacker) findLinks(ctx context.Context, g *generation) error {
	u.links = make(map[string][]stateFile)
	if g.was == nil {
		return nil
	}
	var layers []siteLayer
	for _, l := range u.layers {
		if _, ok := g.before.Layers[l.desc.Digest]; ok {
			layers = append(layers, l)
		}
	}
	slices.SortFunc(layers, siteLayer.larger)
	report := u.bundles[0].report
	report(total(stageCompare, layers))
	return parallel(ctx, runtime.GOMAXPROCS(0), layers, func(ctx context.Context, l siteLayer) error {
		err := u.findLink(ctx, g, l)
		report(Event{Stage: stageCompare, Item: layerName(l.desc), Items: 1, Bytes: l.desc.Size})
		return err
	})
}

const stageCompare = "compare"

func (u *unpacker) findLink(ctx context.Context, g *generation, l siteLayer) error {
	kind := layerKind(l.desc)
	extracted := kind == kindModule || kind == kindToolchainZip
	files := g.linkable(l.proofLayer, u.isGOROOT(l))
	if extracted && u.opts.Extract != g.before.Extract || files == nil {
		return nil
	}
	was := g.before.Layers[l.desc.Digest]
	was.Files, was.GOROOT = files, u.isGOROOT(l)
	problems, err := proveFiles(ctx, g.was, l.proofLayer, was, u.opts.Extract)
	if err != nil {
		return err
	}
	name := layerName(l.desc)
	if len(problems) == 0 {
		err = u.readLinked(g, l)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(problems) > 0 {
		u.damage[name] = problems
		return nil
	}
	u.links[name] = files
	return err
}

// readLinked remembers what the graph is checked against, for a layer that is not read.
func (u *unpacker) readLinked(g *generation, l siteLayer) (err error) {
	var content moduleContent
	var executable toolContent
	m, _ := layerModule(l.desc)
	switch layerKind(l.desc) {
	case kindTool:
		if executable, err = readLinkedTool(g, l); err != nil {
			return err
		}
	case kindModule, kindToolchainZip:
		for ext, data := range map[string]*[]byte{".info": &content.info, ".mod": &content.mod} {
			name, err := moduleFile(m, ext)
			if err != nil {
				return err
			}
			if *data, err = g.was.ReadFile(genDownload + strings.TrimPrefix(name, downloadDir)); err != nil {
				return err
			}
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if layerKind(l.desc) == kindTool {
		u.tools[l.desc.Digest] = executable
	} else {
		u.contents[layerName(l.desc)] = content
	}
	return nil
}

func readLinkedTool(g *generation, l siteLayer) (toolContent, error) {
	pkg, _, _ := layerTool(l.desc)
	file, err := toolFile(pkg, l.platform)
	if err != nil {
		return toolContent{}, err
	}
	f, err := g.was.Open(path.Join(genGo, "bin", path.Base(file)))
	if err != nil {
		return toolContent{}, err
	}
	defer f.Close()
	info, err := readInfo(f)
	return toolContent{info: info}, err
}

// checkStays fails if something of a bundle that stays cannot be taken from the current generation.
func (u *unpacker) checkStays() error {
	for name, l := range u.layers {
		if u.stays(l.v) && u.links[name] == nil {
			cause := errors.New("not the files that were unpacked")
			if problems := u.damage[name]; problems != nil {
				cause = problemsError(problems)
			}
			return u.touched(l.name, fmt.Errorf("%s: %w", name, cause))
		}
	}
	return nil
}
