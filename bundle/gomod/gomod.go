// Package gomod finds out which modules and toolchains a Go project needs to
// be worked on without a network, and where their files are. It asks the go
// command and nothing else: the go command knows the user's proxies,
// credentials, private modules, workspaces and version selection, and any
// second opinion about those would one day differ from the first.
//
// # What is captured
//
// The unit of capture is a main module. For each of them:
//
//	go mod download -json   the modules whose packages the project builds from
//	go mod tidy -e          the tests of dependencies, which tidy looks at
//	go list -m -json all    every module that version selection looks at
//
// Scope build takes the first alone, dev all three. The go.sum files which
// these commands write, starting from none, are exactly the answer: a zip line
// for each zip that was needed, a /go.mod line for each .mod file, and list
// names the modules whose .info is read. (The obvious candidate, "go mod
// download all", takes two to three times as much and fails where some ancient
// module that nobody builds has gone; it is scope all.)
//
// A workspace is captured once as a workspace and once for each member, since
// GOWORK=off in a member selects other versions. An extra module ("M@V") is
// captured as a main module of its own, as its dependants and "go install M@V" see
// it: from its .mod file, without what counts in a main module alone (replace,
// exclude, toolchain and tool lines).
//
// A directory becomes a module version as the go command would make one of it, by package zip of x/mod, with a go.mod
// file and a version that agree. It stands in the scratch cache before any go command runs, so that projects and other
// directories can require it, and is captured like an extra module. Nobody else is asked whether the version exists;
// but one that was fetched before has to be the same. Of a git repository only what git tracks counts.
//
// Beside that "go list -deps -test" tells, for each platform, which packages of the main modules' builds and tests are
// built with a C compiler. That is for people, and nothing else depends on it; so it is found while the caller is at work.
//
// # Tools
//
// A tool is built as "go install PKG@V" does it: of the versions that its own module requires, whatever the
// project selects, so that it is the same in every bundle. "PKG" alone is the version that the project's go.mod
// selects; of several projects the highest.
//
// What could change the executable is fixed: the Go version is that of the bundle's GOROOT (of the user's go
// command where none is carried), or the one that the go line of the tool's module asks for, if that is higher,
// and no newer one, as it would be if the go command switched by itself; the environment has nothing of
// the user's; paths are trimmed, and no C compiler takes part. The go command of that version is the user's own, or
// the one which that switches to, checked by it like any toolchain.
//
// Nothing is built of what the user's module cache has extracted, as that cannot be proven. Each tool's modules are
// extracted anew from their zips, so that the sums in the executable, which the go command computes as it does so, are
// those of what is in it. No build cache is used but one in the scratch directory, for the same reason.
//
// # Nothing of the user's is changed
//
// Each go command runs with a copy of go.mod (-modfile, with go.sum beside it)
// and with a GOMODCACHE, GOPATH and GOCACHE in a scratch directory. So that
// what the user has is neither fetched nor extracted again, the scratch
// GOMODCACHE begins as a farm of symbolic links to the user's: the go command
// replaces files there by rename, so it replaces a link and never follows one.
// A read-only GOMODCACHE is therefore as good as any. `list` files are left
// out: they tell which versions this machine happens to have, and the capture
// must depend on the project alone.
//
// One possibility would be to put GOPROXY=file://GOMODCACHE/cache/download in
// front of the user's list instead. But modules of GONOPROXY would pass it by
// and be fetched from their repository again, "latest" would come to mean the
// newest version in the cache, and everything would be copied and extracted
// once more (10 s for 200 modules).
//
// # What is kept
//
// With a CacheDir, what the go command fetches is kept in CacheDir/download, in
// the layout of cache/download, and is looked up there after the user's
// GOMODCACHE and before the network; toolchains for other systems, 70 MB each,
// are never in the former. CacheDir/tools keeps executables, by package, version, platform and Go version, each below
// a line with its SHA-256. CacheDir/captures remembers what was captured, so
// that an unchanged project is captured without a go command but "go env". It
// has at most 64 files; the downloads and the tools are never cleared. Removing CacheDir or
// anything in it, while no capture runs, costs time and nothing else.
//
// A capture is found by the SHA-256 of all that it came from: the settings of
// the go command, the Options, the go.mod, go.sum, go.work and go.work.sum files
// of the main modules, the workspaces and the directories that replace modules,
// and name, size and time of every .go file in those. As with any build tool, a
// change that keeps size and time is missed. Nothing is remembered where the
// same files may have another answer tomorrow: for a query such as "latest", for
// an untidy project whose modules the go command has to look for, and where
// something could not be had; nor where tools or directories are asked for. What is remembered says which zips there are, and
// counts only while all of them are there; project files and settings are read
// anew, and warnings are repeated.
//
// # Trust
//
// Nothing here is proven. The go command is told not to ask the checksum
// database (GONOSUMDB=*) and begins without go.sum, because the caller checks
// every zip and every .mod itself, from the bytes that it carries; see
// [Captured.GoSum] for what the project's go.sum files say. Toolchains that the
// go command fetches are the exception: it always checks them, as it fetches
// them. What CacheDir has of modules is believed as little as what GOMODCACHE has. Its tools are believed, as nobody could
// prove them: whoever can write there can do so to the user's own programs.
package gomod

import (
	"context"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/mod/module"
)

// A Scope says how much of the module graph is captured.
type Scope string

const (
	// Build is what "go mod download" fetches: enough to build, test and vet.
	Build Scope = "build"
	// Dev adds what "go mod tidy" and "go list -m all" need, so that every
	// command works offline but "go mod download all". The zero Scope is Dev.
	Dev Scope = "dev"
	// All is "go mod download all": each version of the graph with its zip.
	All Scope = "all"
)

// A Platform is an operating system and an architecture, as GOOS and GOARCH.
type Platform struct{ OS, Arch string }

func (p Platform) String() string { return p.OS + "/" + p.Arch }

// Options say what to capture. The zero value captures nothing.
type Options struct {
	Dirs      []string         // project directories; none: no project
	Modules   []module.Version // extra modules; Version may be a query such as "latest"
	Locals    []Local          // directories to make further extra modules of
	Scope     Scope            // "" means Dev
	Platforms []Platform       // platforms to take the toolchains for, and to look for C on

	// Toolchains are "auto", "none", "latest", "go1.26.8" or "1.26.8", in any number; the
	// first that comes to a version is Captured.GoVersion. None means "auto".
	Toolchains []string

	// Tools are commands to build for each platform: "PKG@V", where V may be a query, or "PKG" for the
	// version that the projects select.
	Tools        []string
	ProjectTools bool // also those that the tool lines of the projects' go.mod files name
	ToolSource   bool // also capture the tools' modules, as in Modules

	Go       string       // go command; "" means "go" from PATH
	Env      []string     // environment of the go command, as os.Environ has it
	TempDir  string       // where the scratch directory goes; "" means os.TempDir()
	CacheDir string       // where downloads are kept and captures remembered; "" keeps nothing
	Progress func(Event)  // may be nil; called from several goroutines, one at a time
	Warn     func(string) // may be nil; one line for people, one call at a time
}

// An Event tells of progress.
type Event struct {
	Phase  string // "resolve", "capture", "toolchain" or "tool"
	Module string // path@version, or the directory or command at work
	Bytes  int64  // size of the module's zip, where known
}

// A Captured is what a project needs. Files that it names may lie in its
// scratch directory: they are valid until Close.
type Captured struct {
	Modules    []Module         // have a zip; sorted by path and version, no duplicates
	GraphOnly  []Module         // have none: only version selection looks at them
	Extra      []module.Version // what Options.Modules came to, in that order
	Toolchains []Toolchain      // each Go version for each platform: GoVersion first, then as asked for; sorted by platform
	Tools      []Tool           // sorted by package and platform
	Projects   []Project        // the main modules, sorted by path
	GoVersion  string           // what the first toolchain asked for came to, as "go1.26.8"; "" for none
	Env        GoEnv

	sums   map[module.Version]string
	cgo    []CgoPackage       // once found is closed
	found  <-chan struct{}    // nil: cgo is there
	stop   context.CancelFunc // ends the search for cgo; nil: there is none
	remove func() error       // removes the scratch directory, once; nil if there is none
}

// A Module is one module version and its files. A replaced module does not
// appear; its replacement does, under its own path and version.
type Module struct {
	Path, Version string

	// Info is {"Version":"…","Time":"…"} without Time where none is known:
	// one form, whatever the cache or the proxy had. Nil if not needed, which
	// only a GraphOnly module can be.
	Info []byte
	Mod  []byte // the .mod file; nil if not needed, likewise
	Zip  string // name of the zip file; "" for GraphOnly
	Size int64  // of Zip

	Local bool // made of a directory, and not fetched
}

// A Toolchain is the module of one Go distribution.
type Toolchain struct {
	Version  string // as "go1.26.8"
	Platform Platform
	Module   Module // version of golang.org/toolchain
}

// A Project is a main module with its files as they are on disk. A workspace
// adds a Project of its own, with Path "" and only the last two.
type Project struct {
	Path              string
	GoMod, GoSum      []byte
	GoWork, GoWorkSum []byte
}

// GoEnv is the part of "go env" that callers act on.
type GoEnv struct {
	GOPROXY, GONOPROXY, GOPRIVATE, GOINSECURE, GOAUTH string
	GOSUMDB, GONOSUMDB                                string
	GOMODCACHE, GOPATH, GOFLAGS, GOVERSION            string
	GOOS, GOARCH                                      string
}

// Close removes the scratch directory. A capture is remembered only if Cgo has returned before.
func (c *Captured) Close() error {
	if c == nil || c.remove == nil {
		return nil
	}
	if c.stop != nil {
		c.stop()
		<-c.found
	}
	return c.remove()
}

// GoSum returns what the go.sum files of the projects say of a module: the
// sums of its zip and of its go.mod, "" where they say nothing.
func (c *Captured) GoSum(path, version string) (sum, modSum string) {
	return c.sums[module.Version{Path: path, Version: version}],
		c.sums[module.Version{Path: path, Version: version + "/go.mod"}]
}

// withDefaults fills the zero values in and makes the callbacks safe to call.
func (o Options) withDefaults() Options {
	if o.Scope == "" {
		o.Scope = Dev
	}
	if len(o.Toolchains) == 0 {
		o.Toolchains = []string{"auto"}
	}
	if o.Go == "" {
		o.Go = "go"
	}
	if o.CacheDir != "" {
		if dir, err := filepath.Abs(o.CacheDir); err == nil {
			o.CacheDir = dir
		}
	}
	o.Env = slices.Clone(o.Env)
	var mu sync.Mutex
	progress, warn := o.Progress, o.Warn
	o.Progress = func(e Event) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			progress(e)
		}
	}
	o.Warn = func(line string) {
		if warn != nil {
			mu.Lock()
			defer mu.Unlock()
			warn(line)
		}
	}
	return o
}
