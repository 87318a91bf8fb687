package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func checkDryRun(c *cli.Context, src place) error {
	switch {
	case !c.Bool("dry-run"):
	case src.IsStream():
		return usagef("%s: --dry-run has to read what comes on standard input, which is then gone", c.Command.Name)
	case c.Bool("verify"):
		return withHint(usagef("%s: --dry-run reads no blob, so it goes without --verify", c.Command.Name), "goferry verify %s", src.text)
	}
	return nil
}

// dryRun prints what a copy would send.
func (j *job) dryRun(c *cli.Context, base *oci.Base) error {
	src, target, err := j.openSources(c.Context)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := j.openWritten(c.Context)
	if err != nil {
		return err
	}
	if dst != nil {
		defer dst.Close()
	}
	plan, err := oci.PlanCopy(c.Context, src, target, dst, oci.CopyOptions{Concurrency: c.Int("jobs"), Base: base})
	if err != nil {
		return err
	}
	if c.String("format") == "json" {
		return printJSON(c, newPlanned(plan))
	}
	_, err = fmt.Fprint(c.App.Writer, newPlanned(plan))
	return err
}

// openWritten opens the job's last place, or returns nil where it has nothing that a copy would find.
func (j *job) openWritten(ctx context.Context) (oci.Store, error) {
	p := j.places[len(j.places)-1]
	if p.Transport == oci.TransportArchive {
		return nil, nil // it is always written anew
	}
	store, err := oci.Open(ctx, p.Reference, j.registry)
	if errors.Is(err, oci.ErrNotFound) {
		return nil, nil
	}
	if errors.Is(err, oci.ErrNotLayout) {
		if entries, readErr := os.ReadDir(p.Path); readErr == nil && len(entries) == 0 {
			return nil, nil
		}
	}
	return store, err
}

// planned is a plan as it is printed. A module is in one blob, alone or with others.
type planned struct {
	Digest       string          `json:"digest"`
	Blobs        int             `json:"blobs"` // that would be sent
	Bytes        int64           `json:"bytes"`
	Skipped      int             `json:"skipped"` // that are there
	SkippedBytes int64           `json:"skippedBytes"`
	LeftOut      int             `json:"leftOut,omitempty"` // by --since
	LeftOutBytes int64           `json:"leftOutBytes,omitempty"`
	Modules      []plannedModule `json:"modules"` // of those that would be sent, sorted
}

type plannedModule struct {
	Module string `json:"module"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

func newPlanned(plan *oci.Plan) *planned {
	p := &planned{Digest: plan.Root.Digest.String(), Modules: []plannedModule{}}
	p.Blobs, p.Bytes = len(plan.Move), totalSize(plan.Move)
	p.Skipped, p.SkippedBytes = len(plan.Have), totalSize(plan.Have)
	p.LeftOut, p.LeftOutBytes = len(plan.Left), totalSize(plan.Left)
	for _, desc := range plan.Move {
		for _, m := range bundle.Members(desc) {
			if name := m.Annotations[bundle.AnnotationModule]; name != "" {
				p.Modules = append(p.Modules, plannedModule{name, desc.Digest.String(), m.Size})
			}
		}
	}
	slices.SortFunc(p.Modules, func(a, b plannedModule) int { return strings.Compare(a.Module, b.Module) })
	return p
}

func totalSize(blobs []ocispec.Descriptor) (bytes int64) {
	for _, desc := range blobs {
		bytes += desc.Size
	}
	return bytes
}

// String is what a person wants to know.
func (p *planned) String() string {
	var b strings.Builder
	for _, m := range p.Modules {
		fmt.Fprintf(&b, "%s  %s\n", printable(m.Module), size(m.Size))
	}
	fmt.Fprintf(&b, "to be sent: %s, %s, of %s\n", count(p.Blobs, "blob"), size(p.Bytes), count(len(p.Modules), "module"))
	fmt.Fprintf(&b, "there already: %s, %s\n", count(p.Skipped, "blob"), size(p.SkippedBytes))
	if p.LeftOut > 0 {
		fmt.Fprintf(&b, "left out: %s, %s\n", count(p.LeftOut, "blob"), size(p.LeftOutBytes))
	}
	return b.String()
}
