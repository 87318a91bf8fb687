package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
)

func printPacked(c *cli.Context, p bundle.Packed, rehearsal *rehearsalJSON) error {
	tellLayers(c, p)
	if c.String("format") == "json" {
		return printJSON(c, packedJSON{p.Descriptor.Digest, p.Descriptor.MediaType, p.Descriptor.Size, p.Runnable, p.Layers, p.Modules, p.Bytes, rehearsal})
	}
	_, err := fmt.Fprintln(c.App.Writer, p.Descriptor.Digest)
	return err
}

// tellPacked says, unless that is too much, what is in the bundle.
func tellPacked(c *cli.Context, p bundle.Packed, platforms []gomod.Platform) {
	if c.Bool("quiet") {
		return
	}
	parts := []string{count(p.Modules, "module"), "no toolchain"}
	if versions := p.Record.GoVersions(); len(versions) > 0 {
		var names []string
		for _, p := range platforms {
			names = append(names, p.String())
		}
		parts[1] = fmt.Sprintf("%s for %s", strings.Join(versions, ", "), cmp.Or(strings.Join(names, ", "), hostPlatform().String()))
	}
	if n := len(p.Record.ToolNames()); n > 0 {
		parts = append(parts, count(n, "tool"))
	}
	parts = append(parts, size(p.Bytes))
	if c.String("sign-key") != "" {
		parts = append(parts, "signed")
	}
	tell(c.App.ErrWriter, "", "packed "+strings.Join(parts, ", "))
}

// tellLayers says, unless that is too much, for whom a bundle has too many layers.
func tellLayers(c *cli.Context, p bundle.Packed) {
	const docker, ecr = 127, 500
	switch {
	case c.Bool("quiet"):
	case !p.Runnable:
		tell(c.App.ErrWriter, "", fmt.Sprintf("%d layers: written as an artifact of layers, not a runnable image; --layer-budget %d makes one", p.Layers, bundle.MaxImageLayers))
	case p.Layers > ecr:
		tell(c.App.ErrWriter, "warning", fmt.Sprintf("%d layers: container engines run images of at most %d, and Amazon ECR takes no more than %d", p.Layers, docker, ecr))
	case p.Layers > docker:
		tell(c.App.ErrWriter, "warning", fmt.Sprintf("%d layers: container engines run images of at most %d", p.Layers, docker))
	}
}

// packedJSON is what pack --format json prints.
type packedJSON struct {
	Digest    digest.Digest `json:"digest"`
	MediaType string        `json:"mediaType"`
	Size      int64         `json:"size"`
	Runnable  bool          `json:"runnable"`
	Layers    int           `json:"layers"`
	Modules   int           `json:"modules"`
	Bytes     int64         `json:"bytes"`

	Rehearsal *rehearsalJSON `json:"rehearsal,omitempty"`
}
