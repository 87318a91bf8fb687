package rehearse

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/term"
)

// A Command is what is run in a rehearsal.
type Command struct {
	Dir  string // where; "" means where this process is
	Args []string

	Stdin          io.Reader // nil: empty
	Stdout, Stderr io.Writer // nil: discarded

	below string // where below Dir, in an image, which has Dir alone
}

// A Result is how a command ended.
type Result struct {
	ExitCode int
	Signal   string    // that killed the command, or ""
	Missing  []Missing // what it asked for and did not get; nil where it succeeded
}

// OK says whether the command succeeded.
func (r *Result) OK() bool { return r.ExitCode == 0 && r.Signal == "" }

// Run runs a command and waits for it. It is an error if the command could not be run; that it
// failed is none.
func (r *Rehearsal) Run(ctx context.Context, c Command) (*Result, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	c.Dir = dir
	out, err := r.child(ctx, c)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("rehearse %s: %w", c.Args[0], err)
	}
	if out.Error != "" {
		return nil, fmt.Errorf("rehearse: %s", out.Error)
	}
	result := &Result{ExitCode: out.ExitCode, Signal: out.Signal}
	if !result.OK() {
		result.Missing = r.missing(c.Dir, out.Requests)
	}
	return result, nil
}

// child starts the child for a command and returns its outcome.
func (r *Rehearsal) child(ctx context.Context, c Command) (*outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	stdin, _ := c.Stdin.(*os.File)
	t := task{
		Args: c.Args, Tree: r.download(), Namespaces: r.how.namespaces,
		Terminal: stdin != nil && term.IsTerminal(int(stdin.Fd())),
	}
	workDir := c.Dir
	if r.image != nil {
		workDir = path.Join(imageProject, c.below)
		t.Image, t.Project, t.Dir = r.path(dirImage), c.Dir, workDir
	}
	data, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(r.path(fileTask), data, 0o600); err != nil {
		return nil, err
	}
	os.Remove(r.path(fileOutcome))

	// The child is told when the thread that started it ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, self, ChildCommand, r.Dir)
	cmd.Args[0] = "goferry"
	cmd.Dir, cmd.Env = c.Dir, append(r.environ(), "PWD="+workDir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, c.Stderr
	cmd.SysProcAttr = r.how.attr
	cmd.Cancel = func() error { return stop(cmd.Process) }
	cmd.WaitDelay = 2*grace + time.Second
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	if data, err = os.ReadFile(r.path(fileOutcome)); err != nil {
		return nil, err
	}
	out := new(outcome)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("%s: %w", fileOutcome, err)
	}
	return out, nil
}
