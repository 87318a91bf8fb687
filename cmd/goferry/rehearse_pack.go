package main

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/rehearse"
)

var errNotTagged = errors.New("pack: the rehearsal failed, so nothing is tagged")

// checkRehearsal refuses to rehearse what cannot be rehearsed, before anything is packed.
func checkRehearsal(opts bundle.PackOptions) error {
	if len(opts.Dirs) == 0 {
		return usagef("pack: --rehearse without a project: there is nothing to build")
	}
	if host := hostPlatform(); !slices.Contains(opts.Platforms, host) {
		return withHint(usagef("pack: --rehearse without platform %s: the bundle would not run here", host), "add --platform %s", host)
	}
	return nil
}

// rehearseBeforeTag has the bundle rehearsed before it is tagged, if the flag says so, and returns
// where the result is going to be. It is asked for no signature: it is what this run has just made.
func rehearseBeforeTag(c *cli.Context, show display, opts *bundle.PackOptions) *rehearsalJSON {
	if !c.Bool("rehearse") {
		return nil
	}
	result := new(rehearsalJSON)
	opts.BeforeTag = func(ctx context.Context, v *bundle.Verified) error {
		r, err := rehearse.Begin(ctx, v, rehearse.Options{Env: os.Environ()})
		if err != nil {
			return err
		}
		show.close() // all is packed
		run := rehearsalRun{r: r, show: show, stderr: show, quiet: c.Bool("quiet")}
		err = run.projects(c, opts.Dirs)
		*result = run.result(false)
		return errors.Join(err, r.Close())
	}
	return result
}

// projects runs the standard commands for the projects of a bundle that is being packed. What they
// have to say is for people.
func (r *rehearsalRun) projects(c *cli.Context, dirs []string) error {
	r.announce(c)
	err := r.standard(c.Context, dirs, func(line string) error {
		if !r.quiet {
			tell(r.stderr, "", line)
		}
		return nil
	})
	if err == nil {
		err = r.failure()
	}
	if err != nil {
		return errors.Join(err, errNotTagged)
	}
	return nil
}
