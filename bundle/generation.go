package bundle

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

// Where things are in a generation.
const (
	genGo       = "go"
	genMod      = "mod"
	genDownload = "mod/cache/download/"
	genRecord   = "bundle.json"
	genState    = "state.json"
	genEnv      = "env"
)

// A state says which layers a generation was made of, and what their files looked like when
// they had been proven, so that a later generation can link them if nobody touched them.
type state struct {
	Digest   digest.Digest                `json:"digest"` // of the bundle's index
	Platform string                       `json:"platform"`
	Extract  bool                         `json:"extract,omitempty"`
	Layers   map[digest.Digest]stateLayer `json:"layers"` // the graph's has the settings as well
}

// A stateLayer is a layer with what it was proven to be.
type stateLayer struct {
	Name   string        `json:"name"`
	Sum    string        `json:"sum,omitempty"`
	DiffID digest.Digest `json:"diffID,omitempty"` // empty: the manifest was not an image
	Files  []stateFile   `json:"files"`
}

func layerState(l proofLayer) stateLayer {
	return stateLayer{Name: layerName(l.desc), Sum: l.desc.Annotations[AnnotationSum], DiffID: l.diffID}
}

type stateFile struct {
	Name    string      `json:"name"` // below the generation
	Mode    fs.FileMode `json:"mode"`
	Size    int64       `json:"size"`
	ModTime time.Time   `json:"modTime"`
}

func fileState(name string, info fs.FileInfo) stateFile {
	return stateFile{name, info.Mode(), info.Size(), info.ModTime()}
}

// A generation is one that is being made, below a temporary name.
type generation struct {
	tree *tree
	dir  string // below the tree's root
	root *os.Root

	old    string // the current generation's directory below the tree's root, or ""
	before state  // of old

	mu    sync.Mutex
	state state
	dirs  map[string]bool
}

// stage begins a generation.
func (t *tree) stage() (*generation, error) {
	g := &generation{tree: t, dir: path.Join(dirGenerations, stagePrefix+rand.Text()[:8]), dirs: make(map[string]bool)}
	g.state.Layers = make(map[digest.Digest]stateLayer)
	if err := t.root.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	info, err := t.root.Stat(g.dir)
	if err != nil {
		return nil, err
	}
	if t.chmod = info.Mode().Perm() != 0o755; t.chmod {
		if err := t.root.Chmod(g.dir, 0o755); err != nil {
			return nil, err
		}
	}
	if g.root, err = t.root.OpenRoot(g.dir); err != nil {
		return nil, err
	}
	if current := t.target(linkCurrent); current != "" {
		g.old = path.Join(dirGenerations, current)
		if data, err := t.root.ReadFile(path.Join(g.old, genState)); err != nil || json.Unmarshal(data, &g.before) != nil {
			g.before = state{} // nothing can be linked
		}
	}
	return g, nil
}

// discard removes the generation unless it was published.
func (g *generation) discard() {
	g.root.Close()
	g.tree.root.RemoveAll(g.dir)
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

func (g *generation) read(name string) ([]byte, error) { return g.root.ReadFile(name) }

// link takes a layer's files from the current generation if it was proven to be the same layer
// and nobody touched them since, as far as size, mode and time tell.
func (g *generation) link(l proofLayer) (bool, error) {
	was, is := g.before.Layers[l.desc.Digest], layerState(l)
	if was.Name != is.Name || was.Sum != is.Sum || was.DiffID != is.DiffID || len(was.Files) == 0 || !g.untouched(was.Files) {
		return false, nil
	}
	for _, f := range was.Files {
		if err := g.mkdir(path.Dir(f.Name)); err != nil {
			return false, err
		}
		if err := g.tree.root.Link(path.Join(g.old, f.Name), path.Join(g.dir, f.Name)); err != nil {
			return false, fmt.Errorf("link from the generation before: %w", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Layers[l.desc.Digest] = was
	return true, nil
}

// untouched says whether files of the current generation are as they were when they were written.
func (g *generation) untouched(files []stateFile) bool {
	for _, f := range files {
		info, err := g.tree.root.Lstat(path.Join(g.old, f.Name))
		if err != nil || info.Mode() != f.Mode || info.Size() != f.Size || !info.ModTime().Equal(f.ModTime) {
			return false
		}
	}
	return true
}

// same says whether the current generation, which it names, has all that this one has.
func (g *generation) same() (string, bool) {
	b, s := &g.before, &g.state
	if b.Digest != s.Digest || b.Platform != s.Platform || b.Extract != s.Extract || len(b.Layers) != len(s.Layers) {
		return "", false
	}
	for d, l := range s.Layers {
		if len(b.Layers[d].Files) != len(l.Files) || !g.untouched(b.Layers[d].Files) {
			return "", false
		}
	}
	for _, name := range []string{genEnv, genGo + "/go.env"} {
		was, _ := g.tree.root.ReadFile(path.Join(g.old, name))
		is, _ := g.root.ReadFile(name)
		if !bytes.Equal(was, is) {
			return "", false // by an older goferry, which had other settings
		}
	}
	return path.Base(g.old), true
}

// A layerWriter writes the files of one layer and remembers them. It is for one goroutine.
type layerWriter struct {
	g      *generation
	digest digest.Digest
	state  stateLayer
	name   string // of the file that is open
}

func (g *generation) layer(l proofLayer) *layerWriter {
	return &layerWriter{g: g, digest: l.desc.Digest, state: layerState(l)}
}

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
	return fs.WalkDir(w.g.root.FS(), name, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644) // Unzip leaves them as the umask has them
		if d.IsDir() {
			mode = 0o755
		}
		if w.g.tree.chmod {
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
	})
}

// done enters the layer in the generation's state.
func (w *layerWriter) done() {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	w.g.state.Layers[w.digest] = w.state
}
