package bundle

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci"
)

// UnpackOptions says what is unpacked.
type UnpackOptions struct {
	Platform gomod.Platform // zero means the host's
	Extract  bool           // also make a module cache of extracted modules, to be shared read-only
}

// Unpacked is what Unpack made.
type Unpacked struct {
	Digest     digest.Digest `json:"digest"` // of the bundle's index
	Dir        string        `json:"dir"`    // absolute
	Generation string        `json:"generation"`
	GoVersion  string        `json:"goVersion,omitempty"`
	Modules    int           `json:"modules"`
	Linked     int           `json:"linked"`  // layers taken from the generation before, unread
	Written    int64         `json:"written"` // bytes of layers that were read and written

	Record *Record  `json:"-"` // what the bundle says of itself
	GoEnv  []string `json:"-"` // the go command's environment to use Dir, as "NAME=value"
}

// Unpack proves the bundle for one platform and makes it usable below dir:
//
//	dir/current                  -> the newest generation
//	dir/previous                 -> the one before it, for Rollback
//	dir/generations/<name>/go    GOROOT, with a go.env that finds the modules
//	dir/generations/<name>/mod   cache/download is a GOPROXY; with Extract mod is a GOMODCACHE
//	dir/generations/<name>/env   to be sourced by a shell
//
// All is written below a name of its own and becomes current in one step, after every byte was
// proven and is on the disk: whoever uses dir/current sees the old generation or the new one.
// When anything fails dir is as it was. Layers that the current generation has, untouched, are
// linked from it and not read again. One Unpack at a time works on a dir; others wait.
func Unpack(ctx context.Context, v *Verified, dir string, opts UnpackOptions) (*Unpacked, error) {
	if opts.Platform == (gomod.Platform{}) {
		opts.Platform = gomod.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	}
	v = v.during("unpack")
	p, err := v.platform(opts.Platform)
	if err != nil {
		return nil, err
	}
	t, err := openTree(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer t.close()
	u := &unpacker{v: v, p: p, tree: t, extract: opts.Extract, checker: &checker{v: v, contents: make(map[string]moduleContent)}}
	u.result = Unpacked{Digest: v.Index.Digest, Dir: t.dir}
	if err := u.run(ctx); err != nil {
		return nil, err
	}
	return &u.result, nil
}

func (v *Verified) platform(want gomod.Platform) (Platform, error) {
	for _, p := range v.Platforms {
		if p.Platform == want {
			return p, nil
		}
	}
	return Platform{}, fmt.Errorf("%w: the bundle has no platform %s, it has %s", oci.ErrNotFound, want, strings.Join(v.platforms(), ", "))
}

// unpacker is one run of Unpack.
type unpacker struct {
	v       *Verified
	p       Platform
	tree    *tree
	extract bool
	checker *checker
	result  Unpacked
}

func (u *unpacker) run(ctx context.Context) error {
	name := u.v.Index.Digest.Encoded()[:12] + "-" + u.p.OS + "-" + u.p.Arch
	if u.extract {
		name += "-extracted"
	}
	g, err := u.tree.stage()
	if err != nil {
		return err
	}
	defer g.discard()
	if err := u.fill(ctx, g); err != nil {
		return err
	}
	if current, same := g.same(); same {
		u.result.Generation = current // and the one before it stays that for Rollback
		return nil
	}
	u.result.Generation, err = u.tree.publish(g, name)
	return err
}

// fill writes everything of a generation. The graph, which has thousands of small files, is
// read first and written beside the layers; it is held against them when all are there.
func (u *unpacker) fill(ctx context.Context, g *generation) error {
	graph := u.p.Layers[len(u.p.Layers)-1]
	record, files, err := u.v.openGraph(ctx, u.p)
	if err != nil {
		return fmt.Errorf("unpack the module graph: %w", err)
	}
	w := g.layer(proofLayer{desc: graph})
	layers := (&Verified{Platforms: []Platform{u.p}}).layers()
	u.v.start(layers)
	err = parallel(ctx, runtime.GOMAXPROCS(0), layers, func(ctx context.Context, l proofLayer) (err error) {
		if l.desc.Digest == graph.Digest {
			err = u.graphFiles(ctx, w, files)
		} else {
			err = u.layer(ctx, g, l)
		}
		if err != nil {
			return fmt.Errorf("unpack %s: %w", layerName(l.desc), err)
		}
		u.v.report(Event{Stage: u.v.stage, Item: layerName(l.desc), Items: 1})
		return nil
	})
	if err != nil {
		return err
	}
	if err := u.checker.checkGraph(record, files); err != nil {
		return fmt.Errorf("unpack the module graph: %w", err)
	}
	u.result.GoVersion, u.result.Record, u.result.GoEnv = record.GoVersion, record, u.tree.goEnv(record, u.extract)
	g.state.Digest, g.state.Platform, g.state.Extract = u.v.Index.Digest, u.p.String(), u.extract
	if err := u.tree.settings(w, record, u.extract); err != nil {
		return err
	}
	w.done()
	return nil
}

// graphFiles writes what of the graph layer belongs into the GOPROXY tree.
func (u *unpacker) graphFiles(ctx context.Context, w *layerWriter, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		rest, ok := strings.CutPrefix(name, downloadDir)
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.write(genDownload+rest, files[name]); err != nil {
			return err
		}
	}
	return nil
}

// layer links or writes what one layer holds.
func (u *unpacker) layer(ctx context.Context, g *generation, l proofLayer) error {
	m, isModule := layerModule(l.desc)
	isModule = isModule && layerKind(l.desc) == kindModule
	if isModule {
		u.checker.mu.Lock()
		u.result.Modules++
		u.checker.mu.Unlock()
	}
	if !isModule || u.extract == g.before.Extract {
		linked, err := g.link(l)
		if err != nil {
			return err
		}
		if linked {
			u.v.report(Event{Stage: u.v.stage, Bytes: l.desc.Size})
			return u.linkedLayer(g, l, m, isModule)
		}
	}
	var err error
	w := g.layer(l)
	if isModule {
		err = u.module(ctx, w, l, m)
	} else {
		err = u.v.readToolchain(ctx, l, func(f toolchain.File, content io.Reader) error {
			return u.toolchainFile(ctx, w, f, content)
		})
	}
	if err != nil {
		return err
	}
	w.done()
	u.checker.mu.Lock()
	u.result.Written += l.desc.Size
	u.checker.mu.Unlock()
	return nil
}

// linkedLayer remembers what the graph is checked against, for a layer that was not read.
func (u *unpacker) linkedLayer(g *generation, l proofLayer, m module.Version, isModule bool) error {
	var content moduleContent
	if isModule {
		for ext, data := range map[string]*[]byte{".info": &content.info, ".mod": &content.mod} {
			name, err := moduleFile(m, ext)
			if err != nil {
				return err
			}
			if *data, err = g.read(genDownload + strings.TrimPrefix(name, downloadDir)); err != nil {
				return err
			}
		}
	}
	u.checker.mu.Lock()
	defer u.checker.mu.Unlock()
	u.checker.contents[l.desc.Annotations[AnnotationModule]] = content
	u.result.Linked++
	return nil
}

func (u *unpacker) toolchainFile(ctx context.Context, w *layerWriter, f toolchain.File, content io.Reader) error {
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

// module writes the three files of a module, the zip while it is proven.
func (u *unpacker) module(ctx context.Context, w *layerWriter, l proofLayer, m module.Version) error {
	name, err := moduleFile(m, "")
	if err != nil {
		return err
	}
	name = genDownload + strings.TrimPrefix(name, downloadDir)
	zip, err := w.create(name+".zip", 0o644)
	if err != nil {
		return err
	}
	content, err := u.v.readModule(ctx, l.desc, zip)
	if err != nil {
		zip.Close()
		return err
	}
	if err := w.close(zip); err != nil {
		return err
	}
	if err := w.write(name+".info", content.info); err != nil {
		return err
	}
	if err := w.write(name+".mod", content.mod); err != nil {
		return err
	}
	u.checker.mu.Lock()
	u.checker.contents[m.String()] = content
	u.checker.mu.Unlock()
	if !u.extract {
		return nil
	}
	if err := w.write(name+".ziphash", []byte(l.desc.Annotations[AnnotationSum])); err != nil {
		return err
	}
	return w.extract(m, name+".zip")
}
