package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// viewTree opens a directory that Unpack has made, to look at it: it takes no lock and writes nothing.
func viewTree(_ context.Context, dir string) (*tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(abs); err == nil && !info.IsDir() { // to open a pipe waits for somebody who writes into it
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	return &tree{dir: abs, root: root}, nil
}

// openRoot is an unpacker of what the current generation keeps of its bundles, for the layers that it was made of. Other
// blobs are in the sources. The caller closes it.
func openRoot(ctx context.Context, t *tree, g *generation, from []oci.Store, report func(Event)) (*unpacker, error) {
	if g.was == nil {
		return nil, notUnpacked(t.dir, nil)
	}
	at := filepath.Join(t.dir, filepath.FromSlash(g.old))
	kept, verified, err := openUnpacked(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("%w: what %s has kept of its bundles is damaged: unpack them again (%w)", ErrMismatch, at, err)
	}
	var bundles []SiteBundle
	for i, v := range verified {
		v.report, v.store = report, &keptStore{kept, from}
		bundles = append(bundles, SiteBundle{g.before.Bundles[i].Name, v})
	}
	goos, arch, _ := strings.Cut(g.before.Platform, "/")
	u, err := newUnpacker(bundles, UnpackOptions{Platform: gomod.Platform{OS: goos, Arch: arch}, Extract: g.before.Extract})
	if err == nil {
		u.tree, u.kept = t, kept
		for i, b := range u.bundles {
			u.known[b.Verified] = g.before.Bundles[i]
		}
		err = u.openGraphs(ctx, g)
	}
	if err != nil {
		return nil, errors.Join(err, kept.Close())
	}
	u.choose(g)
	u.chooseTools()
	u.asUnpacked(g)
	u.result.Digest = u.bundles[0].Index.Digest
	u.tell()
	return u, nil
}

// asUnpacked takes, of two layers that will do, the one that was taken: it may have been nearer.
func (u *unpacker) asUnpacked(g *generation) {
	for _, b := range u.bundles {
		for _, l := range b.siteLayers() {
			if was, ok := g.before.Layers[l.desc.Digest]; ok && was.Name == layerName(l.desc) && layerKind(l.desc) != kindGraph {
				u.layers[was.Name] = l
			}
		}
	}
}

// settingsDir is what the settings of the current generation call the directory: one may have several names.
func (g *generation) settingsDir() string {
	there, err := os.Stat(g.before.Dir)
	if err != nil {
		return g.tree.dir
	}
	here, err := os.Stat(g.tree.dir)
	if err != nil || !os.SameFile(there, here) {
		return g.tree.dir
	}
	return g.before.Dir
}
