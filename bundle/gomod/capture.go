package gomod

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/mod/module"
)

// Capture finds what opts ask for. Cancelling ctx kills the go commands that
// run. The errors are those of this package's error types where the cause is
// known, and nothing is left behind on failure but downloads in CacheDir.
func Capture(ctx context.Context, opts Options) (_ *Captured, err error) {
	c := &Captured{sums: map[module.Version]string{}}
	defer func() {
		if err != nil {
			c.Close()
			if ctx.Err() != nil {
				err = fmt.Errorf("capture: %w", ctx.Err())
			}
		}
	}()
	opts = opts.withDefaults()
	g, err := newGoCommand(ctx, opts)
	if err != nil {
		return nil, err
	}
	c.Env = g.user
	mains, spaces, err := g.findProjects(ctx, opts.Dirs, c)
	if err != nil {
		return nil, err
	}
	memory := g.openMemory(opts, mains, spaces)
	if memory.recall(c) {
		c.Extra = opts.Modules // with a query nothing is remembered
		return c, nil
	}
	g.recordWarnings()
	scratch, err := os.MkdirTemp(opts.TempDir, "goferry-capture-")
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	c.remove = sync.OnceValue(func() error { return removeAll(scratch) })
	if err := g.layOut(ctx, opts, scratch); err != nil {
		return nil, err
	}
	s, err := g.ask(ctx, mains, spaces, c, opts)
	g.keep()
	if err != nil {
		return nil, err
	}
	left := g.leaveScratch(c)
	g.findCgo(ctx, s, c, opts.Platforms, func() {
		if !s.unsettled {
			memory.remember(c, g.warned())
		}
		if left {
			c.remove()
		}
	})
	return c, nil
}

// ask fills c with what the go command says, all but what is built with a C compiler.
func (g *goCommand) ask(ctx context.Context, mains []mainModule, spaces []workspace, c *Captured, opts Options) (*set, error) {
	locals, err := g.placeLocals(opts.Locals)
	if err != nil {
		return nil, err
	}
	tools, err := g.findTools(ctx, mains, opts)
	if err != nil {
		return nil, err
	}
	asked := len(opts.Modules)
	opts.Modules = append(slices.Clip(opts.Modules), locals...)
	if opts.ToolSource {
		for _, t := range tools {
			opts.Modules = append(opts.Modules, t.module)
		}
	}
	s, err := g.captureModules(ctx, mains, spaces, opts)
	if err != nil {
		return nil, err
	}
	c.Extra = s.extra[:asked]
	if err := g.collect(ctx, s, c); err != nil {
		return nil, err
	}
	if err := g.captureToolchains(ctx, s, c, opts); err != nil {
		return nil, err
	}
	return s, g.buildTools(ctx, tools, c, opts)
}
