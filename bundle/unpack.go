package bundle

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// UnpackOptions says what is unpacked.
type UnpackOptions struct {
	Platform gomod.Platform // zero means the host's
	Extract  bool           // also make a module cache of extracted modules, to be shared read-only
	Add      bool           // the bundles that the directory has now stay, together with the new ones
	Warn     func(string)   // nil: not told; one line each
}

// ErrNotEmpty says that a directory has other things than what Unpack put there.
var ErrNotEmpty = errors.New("used for something else")

// Unpacked is what Unpack made.
type Unpacked struct {
	Digest     digest.Digest    `json:"digest"`  // of the first bundle's index
	Bundles    []UnpackedBundle `json:"bundles"` // all, those that stayed last
	Dir        string           `json:"dir"`     // absolute
	Generation string           `json:"generation"`
	GoVersion  string           `json:"goVersion,omitempty"`
	Modules    int              `json:"modules"`
	Tools      int              `json:"tools,omitempty"`
	Linked     int              `json:"linked"`  // modules, toolchains and tools taken from the generation before, unread
	Written    int64            `json:"written"` // bytes of layers that were read and written

	Record *Record  `json:"-"` // what the bundles say of themselves, taken together
	GoEnv  []string `json:"-"` // the go command's environment to use Dir, as "NAME=value"
}

// Unpack proves bundles for one platform and makes them usable together below dir:
//
//	dir/current                      -> the newest generation
//	dir/previous                     -> the one before it, for Rollback
//	dir/generations/<name>/go        GOROOT, of the highest version, with a go.env that finds the modules
//	dir/generations/<name>/go/bin    GOROOT's commands, and beside them the bundles' tools
//	dir/generations/<name>/mod       cache/download is a GOPROXY; with Extract mod is a GOMODCACHE
//	dir/generations/<name>/env       to be sourced by a shell
//	dir/generations/<name>/bundles   the bundles' documents, for Add: a layout without most of its blobs
//
// All is written below a name of its own and becomes current in one step, after every byte was
// proven and is on the disk: whoever uses dir/current sees the old generation or the new one.
// When anything fails dir is as it was. Layers that the current generation has, and whose files are proven to be right, are
// linked from it, so a delta can do without them. A file that is damaged or missing comes from the bundles again, and one
// that nobody unpacked is not there any more; where all is right already nothing is written. One Unpack at a time works on
// a dir; others wait.
//
// Bundles are merged, or refused, as [OpenSite] does it. A bundle of a directory is added to by its
// digest: another bundle of the same name does not replace it.
func Unpack(ctx context.Context, bundles []SiteBundle, dir string, opts UnpackOptions) (*Unpacked, error) {
	u, err := newUnpacker(bundles, opts)
	if err != nil {
		return nil, err
	}
	t, err := openTree(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer t.close()
	u.tree = t
	u.result = Unpacked{Digest: u.bundles[0].Index.Digest, Dir: t.dir}
	if err := u.run(ctx); err != nil {
		return nil, u.nameFull(err)
	}
	return &u.result, nil
}

// unpacker is one run of Unpack.
type unpacker struct {
	opts    UnpackOptions
	bundles []SiteBundle                 // of the one platform; those that stay last
	kept    oci.Store                    // of those that stay; nil: there are none
	known   map[*Verified]UnpackedBundle // of those that stay
	tree    *tree
	parts   []part
	merged  *merged
	layers  map[string]siteLayer     // to be unpacked, by name
	goroot  string                   // name of the layer that becomes GOROOT
	links   map[string][]stateFile   // of layers that the current generation has, by name
	damage  map[string][]FileProblem // of layers that it has, and not as they were, by name

	mu       sync.Mutex
	contents map[string]moduleContent      // by "path@version"
	tools    map[digest.Digest]toolContent // by layer
	result   Unpacked
}

func newUnpacker(bundles []SiteBundle, opts UnpackOptions) (*unpacker, error) {
	if opts.Platform == (gomod.Platform{}) {
		opts.Platform = gomod.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	}
	if len(bundles) == 0 {
		return nil, errors.New("unpack: no bundle")
	}
	if opts.Warn == nil {
		opts.Warn = func(string) {}
	}
	u := &unpacker{
		opts: opts, contents: make(map[string]moduleContent), tools: make(map[digest.Digest]toolContent),
		damage: make(map[string][]FileProblem), known: make(map[*Verified]UnpackedBundle),
	}
	for _, b := range bundles {
		if err := u.take(b); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// take adds a bundle, if it is not there already.
func (u *unpacker) take(b SiteBundle) error {
	if slices.ContainsFunc(u.bundles, func(other SiteBundle) bool { return other.Index.Digest == b.Index.Digest }) {
		return nil
	}
	v := b.during("unpack")
	p, err := v.platform(u.opts.Platform)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	v.Platforms = []Platform{p}
	u.bundles = append(u.bundles, SiteBundle{b.Name, v})
	return nil
}

// ErrNoPlatform says that a bundle is not for the platform that was asked for. It is [oci.ErrNotFound] as well.
var ErrNoPlatform = fmt.Errorf("%w: the bundle has no platform", oci.ErrNotFound)

func (v *Verified) platform(want gomod.Platform) (Platform, error) {
	for _, p := range v.Platforms {
		if p.Platform == want {
			return p, nil
		}
	}
	return Platform{}, fmt.Errorf("%w %s, it has %s", ErrNoPlatform, want, strings.Join(v.platforms(), ", "))
}

func (u *unpacker) run(ctx context.Context) error {
	g, err := u.tree.next()
	if err != nil {
		return err
	}
	defer g.close()
	defer u.close()
	if err := u.prepare(ctx, g); err != nil {
		return err
	}
	same, err := u.same(ctx, g)
	if same {
		u.result.Generation = path.Base(g.old) // and the one before it stays that for Rollback
	}
	if same || err != nil {
		return err
	}
	if err := u.checkRoom(ctx); err != nil {
		return err
	}
	previous := u.tree.target(linkCurrent)
	if len(g.before.Bundles) == 0 || u.sameAsked(g) {
		previous = u.tree.earlier() // nobody wants to go back to what was damaged
	}
	if err := u.fill(ctx, g); err != nil {
		return err
	}
	u.result.Generation, err = u.tree.publish(g, u.name(), previous)
	return err
}

func (u *unpacker) close() {
	if u.kept != nil {
		u.kept.Close()
	}
}

// prepare takes what stays, and decides what there is to do. The graphs, which have thousands of small files, are read
// first; what contradicts itself in them is found before anything is written.
func (u *unpacker) prepare(ctx context.Context, g *generation) error {
	if u.opts.Add && g.old != "" {
		if err := u.stay(ctx, g); err != nil {
			return err
		}
	}
	if err := u.openGraphs(ctx, g); err != nil {
		return err
	}
	if err := u.checkHeads(g); err != nil {
		return err
	}
	u.choose(g)
	u.chooseTools()
	if err := u.findLinks(ctx, g); err != nil {
		return err
	}
	if err := u.checkStays(); err != nil {
		return err
	}
	if err := u.checkThere(); err != nil {
		return err
	}
	u.tell()
	return nil
}

// tell says what will be there.
func (u *unpacker) tell() {
	r := &u.result
	r.Record, r.GoVersion, r.GoEnv = u.merged.record, u.merged.record.GoVersion, u.tree.goEnv(u.merged.record, u.opts.Extract)
	r.Linked = len(u.links)
	for _, l := range u.layers {
		switch layerKind(l.desc) {
		case kindModule:
			r.Modules++
		case kindTool:
			r.Tools++
		}
	}
	for _, b := range u.bundles {
		is := unpackedBundle(b)
		if known, ok := u.known[b.Verified]; ok {
			known.Title, known.Version = is.Title, is.Version
			is = known
		}
		r.Bundles = append(r.Bundles, is)
	}
}

// name is that of the generation.
func (u *unpacker) name() string {
	var digests []string
	for _, b := range u.bundles {
		digests = append(digests, b.Index.Digest.Encoded())
	}
	all := digests[0]
	if len(digests) > 1 {
		slices.Sort(digests)
		all = digest.FromString(strings.Join(digests, " ")).Encoded()
	}
	name := all[:12] + "-" + u.opts.Platform.OS + "-" + u.opts.Platform.Arch
	if u.opts.Extract {
		name += "-extracted"
	}
	return name
}

// fill writes everything of a generation.
func (u *unpacker) fill(ctx context.Context, g *generation) error {
	if err := g.stage(); err != nil {
		return err
	}
	w := g.common()
	if err := u.write(ctx, g, w); err != nil {
		return err
	}
	if err := u.checkGraphs(); err != nil {
		return err
	}
	if err := u.common(ctx, u.tree.dir, w.write); err != nil {
		return err
	}
	w.done()
	g.state.Digest, g.state.Bundles, g.state.Dir = u.result.Digest, u.result.Bundles, u.tree.dir
	g.state.Platform, g.state.Extract = u.opts.Platform.String(), u.opts.Extract
	return nil
}

// write writes the layers, and beside them the files of the checksum database.
func (u *unpacker) write(ctx context.Context, g *generation, w *layerWriter) error {
	todo := u.blobs()
	u.bundles[0].report(total("unpack", todo))
	defer saveProofs(u.bundles)
	database := siteLayer{} // first, as it takes long
	todo = slices.Insert(todo, 0, database)
	return parallel(ctx, runtime.GOMAXPROCS(0), todo, func(ctx context.Context, l siteLayer) error {
		if l.v == nil {
			return smallFiles(ctx, w.write, u.merged.sumdb)
		}
		if err := u.layer(ctx, g, l); err != nil {
			return fmt.Errorf("unpack %s: %s: %w", l.name, layerName(l.desc), err)
		}
		l.v.report(Event{Stage: l.v.stage, Item: layerName(l.desc), Items: 1})
		return nil
	})
}
