package bundle

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// A state says which layers a generation was made of, and what their files looked like when
// they had been proven, so that a later generation can link them if nobody touched them.
type state struct {
	Digest   digest.Digest                `json:"digest"` // of the first bundle's index
	Bundles  []UnpackedBundle             `json:"bundles"`
	Platform string                       `json:"platform"`
	Extract  bool                         `json:"extract,omitempty"`
	Layers   map[digest.Digest]stateLayer `json:"layers"` // but the graphs
	Common   []stateFile                  `json:"common"` // what was made of all: answers, checksum database, settings, documents
}

// A stateLayer is a layer with what it was proven to be.
type stateLayer struct {
	Name   string        `json:"name"`
	Sum    string        `json:"sum,omitempty"`
	DiffID digest.Digest `json:"diffID,omitempty"` // empty: the manifest was not an image
	GOROOT bool          `json:"goroot,omitempty"` // unpacked as that, beside the module zip
	Files  []stateFile   `json:"files"`
}

func layerState(l proofLayer, goroot bool) stateLayer {
	return stateLayer{Name: layerName(l.desc), Sum: l.desc.Annotations[AnnotationSum], DiffID: l.diffID, GOROOT: goroot}
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

// linkable returns the files that the current generation has of a layer, if they were proven to be of the same layer
// and nobody touched them since, as far as size, mode and time tell. What was GOROOT may be so no more: then its module
// zip is taken.
func (g *generation) linkable(l proofLayer, goroot bool) []stateFile {
	was, is := g.before.Layers[l.desc.Digest], layerState(l, goroot)
	files := was.Files
	if !goroot && layerKind(l.desc) == kindToolchain {
		outside := func(f stateFile) bool { return !strings.HasPrefix(f.Name, genMod+"/") }
		files = slices.DeleteFunc(slices.Clone(files), outside)
	}
	// That the layer is its own diff_id was proven with its digest.
	sameForm := is.DiffID == "" || is.DiffID == was.DiffID || l.desc.MediaType == mediaTypeTar
	if was.Name != is.Name || was.Sum != is.Sum || !sameForm || goroot && !was.GOROOT || len(files) == 0 || !g.untouched(files) {
		return nil
	}
	return files
}

// link takes a layer's files from the current generation.
func (g *generation) link(l proofLayer, goroot bool, files []stateFile) error {
	for _, f := range files {
		if err := g.mkdir(path.Dir(f.Name)); err != nil {
			return err
		}
		if err := g.tree.root.Link(path.Join(g.old, f.Name), path.Join(g.dir, f.Name)); err != nil {
			return fmt.Errorf("link from the generation before: %w", err)
		}
	}
	is := layerState(l, goroot)
	is.DiffID = cmp.Or(is.DiffID, g.before.Layers[l.desc.Digest].DiffID)
	is.Files = files
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Layers[l.desc.Digest] = is
	return nil
}

func (g *generation) untouched(files []stateFile) bool { return untouched(g.tree.root, g.old, files) }

// untouched says whether files of a generation are as they were when they were written. Of one that is no file of a
// generation it is not: others than goferry may have written the state.
func untouched(root *os.Root, generation string, files []stateFile) bool {
	for _, f := range files {
		if !fs.ValidPath(f.Name) {
			return false
		}
		info, err := root.Lstat(path.Join(generation, f.Name))
		if err != nil || info.Mode() != f.Mode || info.Size() != f.Size || !info.ModTime().Equal(f.ModTime) {
			return false
		}
	}
	return true
}

// same says whether the current generation, which it names, has all that this one has.
func (g *generation) same() (string, bool) {
	b, s := &g.before, &g.state
	if !sameBundles(b.Bundles, s.Bundles) || b.Platform != s.Platform || b.Extract != s.Extract || len(b.Layers) != len(s.Layers) {
		return "", false
	}
	if len(b.Common) != len(s.Common) || !g.untouched(b.Common) {
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

// sameBundles says whether two lists have the same bundles, in whatever order.
func sameBundles(a, b []UnpackedBundle) bool {
	digests := func(list []UnpackedBundle) (d []digest.Digest) {
		for _, b := range list {
			d = append(d, b.Digest)
		}
		slices.Sort(d)
		return d
	}
	return slices.Equal(digests(a), digests(b))
}
