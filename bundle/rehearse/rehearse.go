// Package rehearse runs a command, where there is a network, with what it will have where there
// is none: the bundle, and nothing else of Go's.
//
// # What the command has
//
// The bundle is proven and unpacked, as on the isolated side, into a temporary directory that
// is the whole world of one [Rehearsal]:
//
//	site/    what bundle.Unpack makes: GOROOT, the GOPROXY tree, the checksum database
//	home/    HOME, empty at first: GOPATH, GOMODCACHE and GOCACHE are in it
//	tmp/     TMPDIR
//
// The go command's environment is the bundle's. Of the user's environment there are PATH, with
// the bundle's Go in front, and words about language and terminal; no other GO* variable, no
// proxy, no credential. The command runs on the user's project where that is, as typed.
//
// Compilers of other languages come from PATH, and files and sockets of this machine that a
// command knows the path of are there. The build cache begins empty: a filled one would save a
// minute, but is not carried either.
//
// In the bundle's image ([Options.Image]) a command has what a container of it would have: the
// layers' files, the environment of the image's config, /proc, six devices, and the project at
// /src. Its files are the unpacked ones, put where the layers have them.
//
// # No network
//
// On Linux the command runs in namespaces of its own, with a network that is the loopback and
// nothing else, and with process numbers of its own, so that nothing it started outlives it.
// Who is not root gets them by way of a user namespace. Where they are refused, and on other
// systems, the command is told not to use the network: GOPROXY is all that the go command asks,
// HTTP clients are sent to a closed port. [Rehearsal.Isolation] says which of the two it was.
//
// All that has to be done inside is done by a process of goferry's own, the child (see [Child]),
// which then starts the command. It is told what to do by one file and answers by another.
//
// # What was missing
//
// GOPROXY is not the file:// URL that it will be, but a server of the child's on the loopback
// that hands out the same tree and remembers what it did not have. What that means is settled
// when the command has failed: the go command also asks for what need not be there, such as
// golang.org/x when it looks for the module of golang.org/x/mod/semver.
//
// One possibility would be to read what the go command says. But it says it for people, in
// other words in each release, and stops at the first thing that is missing.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
)

// Options say how a rehearsal is set up.
type Options struct {
	Env     []string // the user's environment, of which little is kept
	TempDir string   // "" means os.TempDir()
	Image   bool     // run commands in the bundle's image, with nothing of this machine's
	Keep    bool     // leave the temporary directory behind
}

// A Rehearsal is a bundle unpacked into a world of its own. It is for one command at a time.
type Rehearsal struct {
	Dir       string           // the temporary directory
	Isolation Isolation        // how the network is kept away
	Bundle    *bundle.Unpacked // what was unpacked

	user  []string // environment
	image []string // environment in the image; nil: commands do not run in it
	keep  bool
	how   isolation
}

// Begin unpacks the bundle for this machine and finds out how commands can be isolated here.
// The caller closes the rehearsal.
func Begin(ctx context.Context, v *bundle.Verified, opts Options) (r *Rehearsal, err error) {
	dir, err := os.MkdirTemp(opts.TempDir, "goferry-rehearse-")
	if err != nil {
		return nil, err
	}
	r = &Rehearsal{Dir: dir, user: opts.Env, keep: opts.Keep}
	defer func() {
		if err != nil {
			r.keep = false
			err = errors.Join(err, r.Close())
		}
	}()
	// The command may see the directory by another name than a symbolic link's.
	if r.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return r, err
	}
	for _, name := range []string{dirHome, dirTmp} {
		if err := os.Mkdir(r.path(name), 0o700); err != nil {
			return r, err
		}
	}
	platform := gomod.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	if opts.Image {
		if r.image, err = imageEnv(ctx, v, platform); err != nil {
			return r, err
		}
	}
	bundles := []bundle.SiteBundle{{Name: v.Index.Digest.String(), Verified: v}}
	if r.Bundle, err = bundle.Unpack(ctx, bundles, r.path(dirSite), bundle.UnpackOptions{Platform: platform}); err != nil {
		return r, err
	}
	if r.Bundle.GoVersion != "" {
		// Where TMPDIR is on a file system without programs the go command in PATH would take its place.
		if _, err := exec.LookPath(r.path(dirSite, "current", "go", "bin", "go")); err != nil {
			return r, fmt.Errorf("run the bundle's Go: %w", err)
		}
	}
	if r.image != nil {
		if err := r.layImage(); err != nil {
			return r, err
		}
	}
	// A bundle without modules has no tree, and the go command is told so by whoever serves it.
	if err := os.MkdirAll(r.download(), 0o700); err != nil {
		return r, err
	}
	return r, r.isolate(ctx)
}

// Where things are in a rehearsal's directory.
const (
	dirSite     = "site"
	dirHome     = "home"
	dirTmp      = "tmp"
	dirImage    = "image"
	fileTask    = "task.json"
	fileOutcome = "outcome.json"
)

func (r *Rehearsal) path(elem ...string) string {
	return filepath.Join(append([]string{r.Dir}, elem...)...)
}

// download is the GOPROXY tree.
func (r *Rehearsal) download() string {
	if r.image != nil {
		return filepath.Join(r.modCache(), "cache", "download")
	}
	return r.path(dirSite, "current", "mod", "cache", "download")
}

// modCache is the GOMODCACHE.
func (r *Rehearsal) modCache() string {
	if r.image != nil {
		return r.path(dirImage, "go", "pkg", "mod")
	}
	return r.path(dirHome, "go", "pkg", "mod")
}

// Close removes the temporary directory, unless it is to be kept.
func (r *Rehearsal) Close() error {
	if r.keep {
		return nil
	}
	if os.RemoveAll(r.Dir) == nil {
		return nil
	}
	// The go command makes the directories of its module cache read-only.
	filepath.WalkDir(r.Dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(r.Dir)
}

// isolate settles on the first kind of isolation that a child can be started with.
func (r *Rehearsal) isolate(ctx context.Context) error {
	refused := errors.New("only Linux has namespaces")
	for _, how := range isolations() {
		if r.image != nil && !how.namespaces {
			return fmt.Errorf("run a command in an image, which takes namespaces: %w", refused)
		}
		r.how = how
		out, err := r.child(ctx, Command{Dir: r.Dir})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && out.Error != "" {
			err = errors.New(out.Error)
		}
		if err == nil {
			r.Isolation = Isolation{Namespaces: how.namespaces}
			if !how.namespaces {
				r.Isolation.Refused = refused
			}
			return nil
		}
		refused = err
	}
	return fmt.Errorf("start a process for the rehearsal: %w", refused)
}

// Isolation says how commands are kept from the network.
type Isolation struct {
	Namespaces bool  // by namespaces; else they are told not to use it
	Refused    error // why not by namespaces
}

func (i Isolation) String() string {
	if i.Namespaces {
		return "namespaces"
	}
	return "settings"
}

// PackedFor says whether the bundle was packed for the main module with this path, and whether for
// its go.mod as it is in dir.
func (r *Rehearsal) PackedFor(path, dir string) (known, same bool) {
	i := slices.IndexFunc(r.Bundle.Record.Projects, func(p bundle.Project) bool { return p.Path == path })
	if i < 0 {
		return false, false
	}
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return true, err == nil && string(data) == r.Bundle.Record.Projects[i].GoMod
}
