package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// checkUnpack prints what unpack would change, and exits with 1 if that is anything.
func (j *job) checkUnpack(c *cli.Context, bundles []bundle.SiteBundle, dir string, opts bundle.UnpackOptions) error {
	p, err := bundle.PlanUnpack(c.Context, bundles, dir, opts)
	if err != nil {
		return explain(hintBase(err, bundles), append(j.places, place{oci.Reference{Path: dir}, dir}))
	}
	j.show.close()
	if c.String("format") == "json" {
		err = printJSON(c, p)
	} else {
		_, err = io.WriteString(c.App.Writer, planText(p))
	}
	if err == nil && p.Changed {
		err = &answerError{fmt.Errorf("%s would change", dir)}
	}
	return err
}

// planText is what a person wants to know of a plan.
func planText(p *bundle.UnpackPlan) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(printable(fmt.Sprintf(format, args...)) + "\n") }
	if !p.Changed {
		line("%s: nothing would change", p.Dir)
		return b.String()
	}
	line("%s would change:", p.Dir)
	for _, u := range p.Before {
		line("  from %s", bundleText(u))
	}
	for _, u := range p.After {
		line("  to %s", identity(u))
	}
	added, removed, changed := writeChanges(&b, p.Toolchains, p.Tools, p.Modules)
	for _, problem := range p.Problems {
		line("%s", problem)
	}
	line("%d added, %d removed, %d changed; %s to be put right; %s, %s, to be read", added, removed, changed,
		count(len(p.Problems), "file"), count(p.Layers, "layer"), size(p.Bytes))
	return b.String()
}
