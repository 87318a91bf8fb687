package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// A writeFunc takes a file of a generation that is made of all layers together.
type writeFunc func(name string, data []byte) error

// common hands over what is made of all layers, but for the checksum database: answers, documents, settings.
func (u *unpacker) common(ctx context.Context, dir string, write writeFunc) error {
	answers, err := u.merged.answers(u.contents)
	if err != nil {
		return err
	}
	if err := u.dropToolchainInfos(answers); err != nil {
		return err
	}
	if err := smallFiles(ctx, write, answers); err != nil {
		return err
	}
	if err := u.keep(write); err != nil {
		return err
	}
	return (&tree{dir: dir}).settings(write, u.merged.record, u.opts.Extract)
}

// smallFiles hands over files of graph layers that belong into the GOPROXY tree.
func smallFiles(ctx context.Context, write writeFunc, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := write(path.Join(genDownload, strings.TrimPrefix(name, downloadDir)), files[name]); err != nil {
			return err
		}
	}
	return nil
}

// faults are the files of the current generation, but for those of layers, that are not what unpacking the same bundles
// again would make. Dir is what the settings call the directory.
func (u *unpacker) faults(ctx context.Context, g *generation, dir string) ([]FileProblem, error) {
	c := &commonProof{root: g.was, known: map[string]bool{genState: true}, modes: make(map[string]fs.FileMode)}
	for _, f := range g.before.Common {
		c.modes[f.Name] = f.Mode
		if len(u.damage) > 0 { // of what is damaged not all can be told that is made of it
			c.known[f.Name] = true
		}
	}
	for name, l := range u.layers {
		files := u.links[name]
		if files == nil { // which of them are damaged is known
			files = g.before.Layers[l.desc.Digest].Files
		}
		for _, f := range files {
			c.known[f.Name] = true
		}
	}
	if err := smallFiles(ctx, c.compare, u.merged.sumdb); err != nil {
		return nil, err
	}
	if err := u.common(ctx, dir, c.compare); err != nil {
		return nil, err
	}
	err := c.findForeign(ctx)
	sortProblems(c.problems)
	return c.problems, err
}

// A commonProof compares files with what has just been made.
type commonProof struct {
	root     *os.Root
	known    map[string]bool        // what there may be
	modes    map[string]fs.FileMode // of files that were written; of others the normal one
	problems []FileProblem
}

func (c *commonProof) compare(name string, data []byte) error {
	mode, ok := c.modes[name]
	if !ok {
		mode = 0o644
	}
	c.known[name] = true
	if p := lookAt(c.root, stateFile{Name: name, Mode: mode, Size: int64(len(data))}); p != nil {
		c.problems = append(c.problems, *p)
		return nil
	}
	got, err := c.root.ReadFile(name)
	if err == nil && !bytes.Equal(got, data) {
		err = errors.New("its bytes are others than were written")
	}
	if err != nil {
		c.problems = append(c.problems, FileProblem{File: name, Problem: FileDamaged, Error: err.Error()})
	}
	return nil
}

// findForeign finds what nobody has unpacked, and directories that others can change. Of a foreign directory only its
// own name is told.
func (c *commonProof) findForeign(ctx context.Context) error {
	dirs := map[string]bool{".": true}
	for name := range c.known {
		for dir := path.Dir(name); !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	return fs.WalkDir(c.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case d.IsDir() && dirs[name]:
			return c.checkDir(name, d)
		case c.known[name] || isGoLock(name, d):
			return nil
		}
		c.problems = append(c.problems, FileProblem{File: name, Problem: FileForeign, Error: "nobody unpacked it"})
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

func (c *commonProof) checkDir(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err == nil && info.Mode()&othersWrite(c.root) != 0 {
		c.problems = append(c.problems, FileProblem{File: name, Problem: FileDamaged, Error: fmt.Sprintf("its mode is %v: others can change what is there", info.Mode())})
	}
	return err
}

// isGoLock says whether a file is a lock of the go command, which makes them in a module cache that it may write to.
func isGoLock(name string, d fs.DirEntry) bool {
	if name != genMod+"/cache/lock" && (!strings.HasPrefix(name, genDownload) || path.Ext(name) != ".lock") {
		return false
	}
	info, err := d.Info()
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// sameAsked says whether the current generation is what was asked for, be it damaged.
func (u *unpacker) sameAsked(g *generation) bool {
	b := &g.before
	return g.was != nil && sameBundles(b.Bundles, u.result.Bundles) && b.Platform == u.opts.Platform.String() && b.Extract == u.opts.Extract
}

// same says whether the current generation has all that the next one would have, and nothing else.
func (u *unpacker) same(ctx context.Context, g *generation) (bool, error) {
	b := &g.before
	if !u.sameAsked(g) || !knows(b.Bundles, u.result.Bundles) || len(u.links) != len(u.layers) || len(b.Layers) != len(u.layers) {
		return false, nil
	}
	for name, l := range u.layers {
		if len(b.Layers[l.desc.Digest].Files) != len(u.links[name]) {
			return false, nil // it is GOROOT no more
		}
	}
	if err := u.checkGraphs(); err != nil {
		return false, err
	}
	faults, err := u.faults(ctx, g, u.tree.dir)
	return len(faults) == 0, err
}
