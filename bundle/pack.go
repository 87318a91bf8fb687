package bundle

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// PackOptions says what Pack captures, and how.
type PackOptions struct {
	Dirs      []string         // project directories; may be empty
	Modules   []string         // further modules, "path@version"
	Locals    []gomod.Local    // directories to make further modules of
	Platforms []gomod.Platform // nil means the host's
	Scope     gomod.Scope      // "" means gomod.Dev

	Toolchains []string // as in gomod.Options: the first is GOROOT; none means "auto"

	Tools        []string // "package@version" or "package", as in gomod.Options
	ProjectTools bool     // likewise
	ToolSource   bool     // likewise

	Env      []string // environment of the go command
	Go       string   // the go command; "" means "go" from PATH
	TempDir  string   // "" means os.TempDir()
	CacheDir string   // where proofs, downloads, captures and the checksum database's answers are kept; "" means nowhere

	// Signed tree heads of the checksum database, in any order. TreeHeads are the one to pack with,
	// the newest, and those that go commands may have seen before; nil means those that CacheDir
	// remembers. Since are more of the latter.
	TreeHeads, Since [][]byte

	// LayerBudget is how many layers a manifest has at most: modules are put together in one layer where they would be more.
	// 0: each module has a layer of its own, and with more than MaxImageLayers the bundle is no image. A budget that is too
	// small is ErrLayerBudget.
	LayerBudget int

	RequireSumDB bool // fail with [ErrNotInSumDB] for what the checksum database does not cover; else warn

	// Annotations are the user's, of index, manifests and configs; see [CheckAnnotation]. Title and description
	// are goferry's where these do not name others.
	Annotations map[string]string

	// BeforeTag is given the bundle as it was read back from the store. If it fails nothing is
	// tagged, and Pack returns its error. Nil: the bundle is tagged as it is.
	BeforeTag func(context.Context, *Verified) error

	// Expect is told what the bundle came to before it is tagged. If it fails nothing is tagged, and Pack
	// returns its error. Nil: every bundle is right.
	Expect func(Packed) error

	Created  time.Time    // zero: the bundle has no creation time
	Progress func(Event)  // nil: not told
	Warn     func(string) // nil: not told; one line each
}

// Packed is what Pack wrote.
type Packed struct {
	Descriptor ocispec.Descriptor // of the index
	Runnable   bool               // the manifests are runnable images
	Layers     int                // in each manifest
	Modules    int                // carried whole
	Bytes      int64              // of all blobs, each counted once

	Record    *Record  // what it says of itself
	Extra     []string // what PackOptions.Modules came to, "path@version" in that order
	TreeHeads []string // signed notes: those of the record, and last the bundle's own; none without a checksum database

	locals []string    // "path@version", made of directories
	asked  PackOptions // of Pack, with its defaults and the platforms in order
}

// Pack captures what the options name, proves every sum, and writes one bundle to dst, where
// it tags it. Nothing is tagged when anything fails.
//
// Errors are those of package gomod for what cannot be captured, [ErrMismatch] for a sum that
// go.sum or the checksum database does not confirm, [ErrNotInSumDB], those of package sumdb, and
// those of the store.
func Pack(ctx context.Context, dst oci.Store, tag string, opts PackOptions) (Packed, error) {
	if opts.Warn == nil {
		opts.Warn = func(string) {}
	}
	if len(opts.Platforms) == 0 {
		opts.Platforms = []gomod.Platform{{OS: runtime.GOOS, Arch: runtime.GOARCH}}
	}
	if opts.Scope == "" {
		opts.Scope = gomod.Dev
	}
	if err := checkAnnotations(opts.Annotations); err != nil {
		return Packed{}, fmt.Errorf("pack: %w", err)
	}
	report := reporter(opts.Progress)
	captured, err := capture(ctx, opts, report)
	if err != nil {
		return Packed{}, err
	}
	p := &packer{dst: dst, tag: tag, opts: opts, report: report, captured: captured, proofs: openProofs(opts.CacheDir)}
	// Thousands of links are removed while the store makes the bundle durable.
	var removal sync.WaitGroup
	defer removal.Wait()
	p.release = sync.OnceFunc(func() { removal.Go(func() { captured.Close() }) })
	defer p.release()
	defer p.proofs.save()
	if err := p.checkBudget(); err != nil {
		return Packed{}, err
	}
	if err := p.begin(); err != nil {
		return Packed{}, err
	}
	return p.write(ctx)
}

func capture(ctx context.Context, opts PackOptions, report func(Event)) (*gomod.Captured, error) {
	var extra []module.Version
	for _, m := range opts.Modules {
		path, version, ok := strings.Cut(m, "@")
		if !ok || path == "" || version == "" {
			return nil, fmt.Errorf("module %q: want path@version", m)
		}
		extra = append(extra, module.Version{Path: path, Version: version})
	}
	var cacheDir string
	if opts.CacheDir != "" {
		cacheDir = filepath.Join(opts.CacheDir, "gomod")
	}
	return gomod.Capture(ctx, gomod.Options{
		Dirs: opts.Dirs, Modules: extra, Locals: opts.Locals, Scope: opts.Scope, Toolchains: opts.Toolchains, Platforms: opts.Platforms,
		Tools: opts.Tools, ProjectTools: opts.ProjectTools, ToolSource: opts.ToolSource,
		Go: opts.Go, Env: opts.Env, TempDir: opts.TempDir, CacheDir: cacheDir, Warn: opts.Warn,
		Progress: func(e gomod.Event) { report(Event{Stage: "capture", Item: e.Module, Items: 1, Bytes: e.Bytes}) },
	})
}

// reporter makes events come one at a time, and nil callable.
func reporter(progress func(Event)) func(Event) {
	if progress == nil {
		return func(Event) {}
	}
	var mu sync.Mutex
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		progress(e)
	}
}
