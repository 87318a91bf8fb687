package bundle

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/goferry/goferry/bundle/toolchain"
)

// toolchain gives the module zip of a toolchain back to the GOPROXY tree, where a go command of
// another version looks for what to switch to, and writes GOROOT, if this is the one.
func (u *unpacker) toolchain(ctx context.Context, w *layerWriter, l siteLayer) error {
	m, _ := layerModule(l.desc)
	name, err := moduleFile(m, "")
	if err != nil {
		return err
	}
	name = genDownload + strings.TrimPrefix(name, downloadDir)
	zip, err := w.g.create(name+".zip", 0o644)
	if err != nil {
		return err
	}
	var visit func(toolchain.File, io.Reader) error
	if w.state.GOROOT {
		visit = func(f toolchain.File, content io.Reader) error { return gorootFile(ctx, w, f, content) }
	}
	if err := l.v.readToolchain(ctx, l.proofLayer, visit, zip); err != nil {
		zip.Close()
		return err
	}
	w.name = name + ".zip" // others were open since
	if err := w.close(zip); err != nil {
		return err
	}
	content := toolchainContent(m.Version)
	if err := w.write(name+".info", content.info); err != nil {
		return err
	}
	if err := w.write(name+".mod", content.mod); err != nil {
		return err
	}
	w.done()
	return nil
}

func gorootFile(ctx context.Context, w *layerWriter, f toolchain.File, content io.Reader) error {
	if f.Name == "go.env" {
		return nil // settings writes one of our own
	}
	file, err := w.create(path.Join(genGo, f.Name), f.Mode)
	if err != nil {
		return fmt.Errorf("%w: %w", errVisit, err)
	}
	if _, err := copyAll(ctx, visitWriter{file}, content); err != nil {
		file.Close()
		return err
	}
	return w.close(file)
}

// dropToolchainInfos takes those .info files out of the answers that the toolchains' layers bring.
func (u *unpacker) dropToolchainInfos(answers map[string][]byte) error {
	for _, l := range u.layers {
		m, _ := layerModule(l.desc)
		if m.Path != toolchainPath {
			continue
		}
		name, err := moduleFile(m, ".info")
		if err != nil {
			return err
		}
		delete(answers, name)
	}
	return nil
}

// restoreGoMods gives the go.mod files of an extracted toolchain their names, beside those that they
// have in a zip. The go command does this, and lets the commands be executed, before it first runs a
// toolchain (see Exec in cmd/go/internal/toolchain); users who share a module cache could not.
func (g *generation) restoreGoMods(dir string) error {
	return fs.WalkDir(g.root.FS(), dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(file) != "_go.mod" {
			return err
		}
		data, err := g.root.ReadFile(file)
		if err != nil {
			return err
		}
		return g.root.WriteFile(path.Join(path.Dir(file), "go.mod"), data, 0o644)
	})
}
