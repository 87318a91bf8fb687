package bundle

import (
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
// they had been proven.
type state struct {
	Digest   digest.Digest                `json:"digest"`        // of the first bundle's index
	Dir      string                       `json:"dir,omitempty"` // as it was called, which stands in the settings
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

// linkable returns the files that the current generation has of a layer, if they were proven to be of the same layer.
// What was GOROOT may be so no more: then its module zip is taken.
func (g *generation) linkable(l proofLayer, goroot bool) []stateFile {
	was, is := g.before.Layers[l.desc.Digest], layerState(l, goroot)
	// That the layer is its own diff_id was proven with its digest.
	sameForm := is.DiffID == "" || is.DiffID == was.DiffID || l.desc.MediaType == mediaTypeTar
	if was.Name != is.Name || was.Sum != is.Sum || !sameForm || goroot && !was.GOROOT {
		return nil
	}
	if !goroot && layerKind(l.desc) == kindToolchain {
		outside := func(f stateFile) bool { return !strings.HasPrefix(f.Name, genMod+"/") }
		return slices.DeleteFunc(slices.Clone(was.Files), outside)
	}
	return was.Files
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

// untouched says whether files of a generation are as they were when they were written, as far as size, mode and time
// tell. Of one that is no file of a generation it is not: others than goferry may have written the state.
func untouched(root *os.Root, files []stateFile) bool {
	for _, f := range files {
		if !fs.ValidPath(f.Name) {
			return false
		}
		info, err := root.Lstat(f.Name)
		if err != nil || info.Mode() != f.Mode || info.Size() != f.Size || !info.ModTime().Equal(f.ModTime) {
			return false
		}
	}
	return true
}
