package rehearse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
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
}

// Standard runs what every project needs, for each main module of the project in dir: it builds and
// vets, compiles the tests, and verifies and lists the modules. A step that failed does not keep the
// others from being run. The project is as it was afterwards.
func (r *Rehearsal) Standard(ctx context.Context, dir string) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		mains, failed, err := r.mainModules(ctx, dir)
		if err != nil || failed != nil {
			if failed == nil {
				failed = new(Step)
			}
			yield(*failed, err)
			return
		}
		for i, main := range mains {
			for _, step := range r.steps(main, i == 0) {
				if step.Skipped == "" {
					err = r.step(ctx, &step)
				}
				if !yield(step, err) || err != nil {
					return
				}
			}
		}
	}
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
		if scope := r.Bundle.Record.Scope; scope == "build" && (args[1] == "mod" || args[1] == "list") {
			s.Skipped = "a bundle of scope " + scope + " does not promise it"
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
	step := Step{Dir: dir, Args: []string{"go", "list", "-m", "-f", format}}
	if err := r.stepTo(ctx, &step, &stdout); err != nil || !step.Result.OK() {
		return nil, &step, err
	}
	for line := range strings.Lines(stdout.String()) {
		path, mainDir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if mainDir == "" { // all that there is are the go command's own words for "no module"
			return nil, nil, fmt.Errorf("rehearse %s: there is no go.mod in it or above it", dir)
		}
		mains = append(mains, Step{Module: path, Dir: mainDir})
	}
	return mains, nil, nil
}

func (r *Rehearsal) step(ctx context.Context, s *Step) error { return r.stepTo(ctx, s, nil) }

// stepTo runs a step with its standard output to a writer, else with it where the errors go.
func (r *Rehearsal) stepTo(ctx context.Context, s *Step, stdout io.Writer) (err error) {
	var said tail
	c := Command{Dir: s.Dir, Args: s.Args, Stdout: stdout, Stderr: &said}
	if stdout == nil {
		c.Stdout = &said
	}
	if s.Result, err = r.Run(ctx, c); err == nil && !s.Result.OK() {
		s.Output = said.String()
	}
	return err
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
