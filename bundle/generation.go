package bundle

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/goferry/goferry/bundle/toolchain"
)

// Where things are in a generation.
const (
	genGo       = "go"
	genMod      = "mod"
	genDownload = "mod/cache/download/"
	genBundles  = "bundles"
	genRecord   = "bundle.json"
	genState    = "state.json"
	genEnv      = "env"
)

// A generation is one that is being made, below a temporary name.
type generation struct {
	tree *tree
	dir  string   // below the tree's root
	root *os.Root // nil before it is staged

	old    string   // the current generation's directory below the tree's root, or ""
	was    *os.Root // of old; nil: there is none
	before state    // of old

	mu    sync.Mutex
	state state
	dirs  map[string]bool
}

// next is the generation that follows the current one. Nothing is written before it is staged.
func (t *tree) next() (*generation, error) {
	if t.root == nil {
		return t.after("")
	}
	return t.after(t.target(linkCurrent))
}

// after is the generation that follows another.
func (t *tree) after(old string) (*generation, error) {
	g := &generation{tree: t, dirs: make(map[string]bool)}
	g.state.Layers = make(map[digest.Digest]stateLayer)
	if old == "" {
		return g, nil
	}
	g.old = path.Join(dirGenerations, old)
	var err error
	if g.was, err = t.root.OpenRoot(g.old); errors.Is(err, fs.ErrNotExist) {
		g.old = ""
		return g, nil
	}
	if err != nil {
		return nil, err
	}
	if info, err := g.was.Lstat(genState); err != nil || !info.Mode().IsRegular() {
		return g, nil // nothing can be linked
	}
	if data, err := g.was.ReadFile(genState); err != nil || json.Unmarshal(data, &g.before) != nil {
		g.before = state{}
	}
	return g, nil
}

// stage begins to write.
func (g *generation) stage() error {
	t := g.tree
	g.dir = path.Join(dirGenerations, stagePrefix+rand.Text()[:8])
	if err := t.root.Mkdir(g.dir, 0o755); err != nil {
		return err
	}
	info, err := t.root.Stat(g.dir)
	if err != nil {
		return err
	}
	if t.chmod = info.Mode().Perm() != 0o755; t.chmod {
		if err := t.root.Chmod(g.dir, 0o755); err != nil {
			return err
		}
	}
	g.root, err = t.root.OpenRoot(g.dir)
	return err
}

// close removes what was staged, unless it was published.
func (g *generation) close() {
	if g.was != nil {
		g.was.Close()
	}
	if g.root != nil {
		g.root.Close()
	}
	if g.dir != "" {
		g.tree.root.RemoveAll(g.dir)
	}
}

// finish makes everything durable.
func (g *generation) finish() error {
	data, err := json.Marshal(g.state)
	if err != nil {
		return err
	}
	if err := g.write(genState, data); err != nil {
		return err
	}
	return syncTree(filepath.Join(g.tree.dir, filepath.FromSlash(g.dir)))
}

// mkdir makes a directory and those above it.
func (g *generation) mkdir(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mkdirLocked(name)
}

func (g *generation) mkdirLocked(name string) error {
	if name == "." || g.dirs[name] {
		return nil
	}
	if err := g.mkdirLocked(path.Dir(name)); err != nil {
		return err
	}
	if err := g.root.Mkdir(name, 0o755); err != nil {
		return err
	}
	if g.tree.chmod {
		if err := g.root.Chmod(name, 0o755); err != nil {
			return err
		}
	}
	g.dirs[name] = true
	return nil
}

// create makes a file that others can read, and its directory.
func (g *generation) create(name string, mode fs.FileMode) (*os.File, error) {
	if err := g.mkdir(path.Dir(name)); err != nil {
		return nil, err
	}
	f, err := g.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: the bundle has %q twice", ErrMismatch, name)
	}
	if err == nil && g.tree.chmod {
		err = f.Chmod(mode)
	}
	return f, err
}

func (g *generation) write(name string, data []byte) error {
	f, err := g.create(name, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// A layerWriter writes the files of one layer and remembers them. It is for one goroutine.
type layerWriter struct {
	g      *generation
	digest digest.Digest // "": of what is made of all
	state  stateLayer
	name   string // of the file that is open
}

func (g *generation) layer(l proofLayer, goroot bool) *layerWriter {
	return &layerWriter{g: g, digest: l.desc.Digest, state: layerState(l, goroot)}
}

// common is for what is made of all layers together.
func (g *generation) common() *layerWriter { return &layerWriter{g: g} }

// create begins a file, which close ends.
func (w *layerWriter) create(name string, mode fs.FileMode) (*os.File, error) {
	w.name = name
	return w.g.create(name, mode)
}

func (w *layerWriter) close(f *os.File) error {
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	w.state.Files = append(w.state.Files, fileState(w.name, info))
	return nil
}

func (w *layerWriter) write(name string, data []byte) error {
	f, err := w.create(name, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	return w.close(f)
}

// extract unpacks a proven zip to where the go command looks for it.
func (w *layerWriter) extract(m module.Version, zip string) error {
	p, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	v, err := module.EscapeVersion(m.Version)
	if err != nil {
		return err
	}
	name := path.Join(genMod, p+"@"+v)
	if err := w.g.mkdir(name); err != nil {
		return err
	}
	base := filepath.Join(w.g.tree.dir, filepath.FromSlash(w.g.dir))
	if err := modzip.Unzip(filepath.Join(base, filepath.FromSlash(name)), m, filepath.Join(base, filepath.FromSlash(zip))); err != nil {
		return err
	}
	if m.Path == toolchainPath {
		if err := w.g.restoreGoMods(name); err != nil {
			return err
		}
	}
	return fs.WalkDir(w.g.root.FS(), name, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644) // Unzip leaves them as the umask has them
		switch {
		case d.IsDir():
			mode = 0o755
		case m.Path == toolchainPath:
			mode = toolchain.Mode(strings.TrimPrefix(file, name+"/"))
		}
		return w.extracted(file, d, mode)
	})
}

// extracted gives a file or directory its mode, and remembers the file.
func (w *layerWriter) extracted(file string, d fs.DirEntry, mode fs.FileMode) error {
	if w.g.tree.chmod || !d.IsDir() && mode == 0o755 {
		if err := w.g.root.Chmod(file, mode); err != nil {
			return err
		}
	}
	if d.IsDir() {
		return nil
	}
	info, err := w.g.root.Lstat(file)
	if err != nil {
		return err
	}
	w.state.Files = append(w.state.Files, fileState(file, info))
	return nil
}

// done enters the layer in the generation's state.
func (w *layerWriter) done() {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	if w.digest == "" {
		w.g.state.Common = w.state.Files
		return
	}
	w.g.state.Layers[w.digest] = w.state
}
