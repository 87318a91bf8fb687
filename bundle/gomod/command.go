package gomod

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/module"
)

// A goCommand runs the go command against the scratch directory.
type goCommand struct {
	name     string
	scratch  string
	kept     string   // directory of the downloads that are kept; "" if none are
	env      []string // the user's environment, redirected into scratch
	user     GoEnv
	settings map[string]string // all of "go env"
	warn     func(string)
	warned   func() []string // what warn was told of the go command's answers
	progress func(Event)
	local    map[module.Version]bool // made of directories
}

// newGoCommand learns the user's settings.
func newGoCommand(ctx context.Context, opts Options) (*goCommand, error) {
	g := &goCommand{name: opts.Go, warn: opts.Warn, progress: opts.Progress, local: map[module.Version]bool{}}
	// GOTOOLCHAIN=local, because a switch would fetch into the user's cache.
	env := append(slices.Clip(opts.Env), "GOTOOLCHAIN=local", "GO111MODULE=on")
	g.env = append(slices.Clip(env), "GOWORK=off")
	// Whatever go.mod is above TempDir does not count: go env does not read it.
	dir := opts.TempDir
	if dir == "" {
		dir = os.TempDir()
	}
	out, err := g.run(ctx, dir, "env", "-json")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.Unmarshal(out.stdout, &g.user), json.Unmarshal(out.stdout, &g.settings)); err != nil {
		return nil, fmt.Errorf("go env -json: %w", err)
	}
	g.env = env
	if opts.CacheDir != "" {
		g.kept = filepath.Join(opts.CacheDir, "download")
	}
	g.warnFlags(g.user.GOFLAGS)
	return g, nil
}

// layOut makes the scratch directory what the go commands are to see.
func (g *goCommand) layOut(ctx context.Context, opts Options, scratch string) error {
	g.scratch = scratch
	// The scratch directory is a module, so that no go.mod above TempDir counts.
	if err := writeNew(g.path("idle", "go.mod"), []byte("module goferry.invalid/idle\n")); err != nil {
		return err
	}
	g.env = append(slices.Clip(opts.Env),
		"GO111MODULE=on",
		"GOMODCACHE="+g.path("mod"),
		"GOPATH="+g.path("gopath"),
		"GOCACHE="+g.path("cache"),
		"GOTMPDIR="+scratch,
		"GONOSUMDB=*",
		// An index would be keyed by the scratch directory, and never used again.
		"GODEBUG="+joinNonEmpty(lookupEnv(opts.Env, "GODEBUG"), "goindex=0"),
	)
	if g.user.GOMODCACHE != "" {
		if err := linkFarm(ctx, g.downloads(), g.user.GOMODCACHE, g.path("mod")); err != nil {
			return err
		}
	}
	return linkFarm(ctx, g.kept, "", g.path("mod"))
}

// recordWarnings makes warned return what is told from here on.
func (g *goCommand) recordWarnings() {
	var mu sync.Mutex
	var lines []string
	tell := g.warn
	g.warn = func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
		tell(line)
	}
	g.warned = func() []string { return lines }
}

// warnFlags tells of flags in GOFLAGS that would change what is captured, and
// are not followed.
func (g *goCommand) warnFlags(flags string) {
	for f := range strings.FieldsSeq(flags) {
		name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "=")
		switch name {
		case "mod", "modfile", "insecure", "overlay":
			g.warn(fmt.Sprintf("%s in GOFLAGS is not used in capture", f))
		}
	}
}

func (g *goCommand) path(elem ...string) string {
	return filepath.Join(append([]string{g.scratch}, elem...)...)
}

// module runs a go command for one main module, away from any workspace.
func (g *goCommand) module(ctx context.Context, dir string, args ...string) (output, error) {
	h := *g
	h.env = append(g.env[:len(g.env):len(g.env)], "GOWORK=off", "GOFLAGS=-mod=mod -modcacherw")
	return h.run(ctx, dir, args...)
}

// workspace runs a go command in the workspace of the go.work file work.
func (g *goCommand) workspace(ctx context.Context, work string, args ...string) (output, error) {
	h := *g
	h.env = append(g.env[:len(g.env):len(g.env)], "GOWORK="+work, "GOFLAGS=-modcacherw")
	return h.run(ctx, filepath.Dir(work), args...)
}

// An output is what a go command wrote.
type output struct {
	stdout []byte
	lines  []string // of standard error, without those that tell of progress
}

// run runs the go command in dir. Its output comes back with the error too,
// since "go mod download -json" reports errors there.
func (g *goCommand) run(ctx context.Context, dir string, args ...string) (output, error) {
	if err := ctx.Err(); err != nil {
		return output{}, err
	}
	cmd := exec.CommandContext(ctx, g.name, args...)
	cmd.Dir = dir
	cmd.Env = append(g.env[:len(g.env):len(g.env)], "PWD="+dir)
	killGroup(cmd)
	cmd.WaitDelay = 2 * time.Second
	var stdout bytes.Buffer
	stderr := &lineWriter{progress: g.progress}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return output{}, ctx.Err()
	}
	stderr.Write([]byte("\n")) // ends a line that was cut short
	out := output{stdout.Bytes(), stderr.lines}
	if err != nil {
		if _, exited := errors.AsType[*exec.ExitError](err); !exited {
			return out, fmt.Errorf("run %s: %w", g.name, err)
		}
		return out, newCommandError(args, stderr.lines)
	}
	return out, nil
}

// A lineWriter keeps the lines that the go command writes for people, but for
// those that tell of progress.
type lineWriter struct {
	partial  []byte
	lines    []string
	progress func(Event)
}

// maxLines bounds what is kept of a go command that does not stop complaining.
const maxLines = 1000

func (w *lineWriter) Write(p []byte) (int, error) {
	w.partial = append(w.partial, p...)
	for {
		line, rest, found := bytes.Cut(w.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.partial = rest
		text := strings.TrimRight(string(line), " \t\r")
		if mod, ok := strings.CutPrefix(text, "go: downloading "); ok {
			w.progress(Event{Phase: "capture", Module: strings.Replace(mod, " ", "@", 1)})
		} else if text != "" && len(w.lines) < maxLines {
			w.lines = append(w.lines, text)
		}
	}
}

// decodeStream reads a sequence of JSON values, as go -json commands print it.
func decodeStream[T any](out []byte) ([]T, error) {
	dec := json.NewDecoder(bufio.NewReader(bytes.NewReader(out)))
	var all []T
	for {
		var v T
		if err := dec.Decode(&v); err == io.EOF {
			return all, nil
		} else if err != nil {
			return all, err
		}
		all = append(all, v)
	}
}

// lookupEnv returns the value of the last key in env.
func lookupEnv(env []string, key string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], key+"="); ok {
			return v
		}
	}
	return ""
}

func joinNonEmpty(a, b string) string {
	if a == "" {
		return b
	}
	return a + "," + b
}
