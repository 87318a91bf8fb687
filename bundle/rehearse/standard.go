package rehearse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Step is one of the commands that [Rehearsal.Standard] runs.
type Step struct {
	Module  string // path of the main module; "" where none was found
	Dir     string
	Args    []string
	Skipped string  // why it was not run, or ""
	Output  string  // of a command that failed: the last of what it wrote
	Result  *Result // nil if it was skipped

	project, below string // of the command
}

// Standard runs what every project needs, for each main module of the project in dir: it builds and
// vets, compiles the tests, and verifies and lists the modules. Each step is given to done when it is
// over; one that failed does not keep the others from being run, an error of done does. The project is
// as it was afterwards.
func (r *Rehearsal) Standard(ctx context.Context, dir string, done func(Step) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	// Of all that these commands do, only this is ever written into a project.
	restore, err := preserve(nearest(dir, "go.work"), ".sum")
	if err != nil {
		return err
	}
	return errors.Join(r.standard(ctx, dir, done), restore())
}

func (r *Rehearsal) standard(ctx context.Context, dir string, done func(Step) error) error {
	mains, failed, err := r.mainModules(ctx, dir)
	if err != nil {
		return err
	}
	if failed != nil {
		return done(*failed)
	}
	for i, main := range mains {
		for _, step := range r.steps(main, i == 0) {
			if step.Skipped == "" {
				if err := r.step(ctx, &step, nil); err != nil {
					return err
				}
			}
			if err := done(step); err != nil {
				return err
			}
		}
	}
	return nil
}

// steps are the commands for a main module; the last ones are the same for all in a workspace.
func (r *Rehearsal) steps(main Step, first bool) []Step {
	list := [][]string{
		{"go", "build", "-o", os.DevNull, "./..."},
		{"go", "vet", "./..."},
		{"go", "test", "-c", "-o", os.DevNull, "./..."},
	}
	if first {
		list = append(list, []string{"go", "mod", "verify"}, []string{"go", "list", "-mod=readonly", "-m", "all"})
	}
	var steps []Step
	for _, args := range list {
		s := main
		s.Args = args
		switch scope := r.Bundle.Record.Scope; {
		case scope == "build" && (args[1] == "mod" || args[1] == "list"):
			s.Skipped = "a bundle of scope " + scope + " does not promise it"
		case r.image != nil && args[1] == "mod":
			s.Skipped = "it wants the .ziphash files of a download, and an image carries none"
		}
		steps = append(steps, s)
	}
	return steps
}

// mainModules asks the go command for the main modules: one, or the members of a workspace. If it
// fails, that is the step that failed.
func (r *Rehearsal) mainModules(ctx context.Context, dir string) (mains []Step, failed *Step, err error) {
	const format = "{{.Path}}\t{{.Dir}}"
	var stdout bytes.Buffer
	step := Step{Dir: dir, project: dir, Args: []string{"go", "list", "-m", "-f", format}}
	if err := r.step(ctx, &step, &stdout); err != nil || !step.Result.OK() {
		return nil, &step, err
	}
	for line := range strings.Lines(stdout.String()) {
		path, mainDir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if mainDir == "" { // all that there is are the go command's own words for "no module"
			return nil, nil, fmt.Errorf("rehearse %s: there is no go.mod in it or above it", dir)
		}
		main := Step{Module: path, Dir: mainDir, project: mainDir}
		if below, ok := strings.CutPrefix(mainDir, imageProject); ok && r.image != nil {
			main = Step{Module: path, Dir: filepath.Join(dir, below), project: dir, below: below}
		}
		mains = append(mains, main)
	}
	return mains, nil, nil
}

// step runs a step with its standard output to a writer; if that is nil, it goes where the errors go.
func (r *Rehearsal) step(ctx context.Context, s *Step, stdout io.Writer) (err error) {
	var said tail
	c := Command{Dir: s.project, below: s.below, Args: s.Args, Stdout: stdout, Stderr: &said}
	if stdout == nil {
		c.Stdout = &said
	}
	if s.Result, err = r.Run(ctx, c); err == nil && !s.Result.OK() {
		s.Output = said.String()
	}
	return err
}

// preserve returns a function that makes the file with this name and extension what it is now, or
// absent. Where there is no name it does nothing.
func preserve(name, ext string) (restore func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	name += ext
	before, err := os.ReadFile(name)
	absent := errors.Is(err, fs.ErrNotExist)
	if err != nil && !absent {
		return nil, err
	}
	return func() error {
		after, err := os.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist) && absent, err == nil && !absent && bytes.Equal(before, after):
			return nil
		case absent:
			return os.Remove(name)
		}
		return os.WriteFile(name, before, 0o644)
	}, nil
}

// A tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

const maxTail = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.Buffer.Write(p)
	if t.Len() > 2*maxTail {
		t.Next(t.Len() - maxTail)
	}
	return len(p), nil
}
