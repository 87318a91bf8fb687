package bundle

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/oci"
)

// A Report says what Check proved.
type Report struct {
	Digest     digest.Digest `json:"digest"`    // of the index
	Platforms  []string      `json:"platforms"` // null where the documents do not tell
	Blobs      int           `json:"blobs"`     // each counted once
	Bytes      int64         `json:"bytes"`
	Modules    int           `json:"modules"`              // whose zip has the "h1:" sum that the bundle says
	Toolchains int           `json:"toolchains"`           // likewise
	Remembered int           `json:"remembered,omitempty"` // of both: whose sum was proven before, for a blob with the same digest
	Tools      int           `json:"tools,omitempty"`      // whose executable says of itself what the bundle says
	SumDB      string        `json:"sumdb,omitempty"`
	TreeHeads  []int64       `json:"treeHeads,omitempty"`  // sizes: of the earlier tree heads of the checksum database, and last of the bundle's own
	NotInSumDB []string      `json:"notInSumDB,omitempty"` // modules that the checksum database does not cover
	Signatures []Signature   `json:"signatures,omitempty"` // none: nobody asked whose the bundle is
	Delta      *oci.Delta    `json:"delta,omitempty"`      // what is said of blobs that were left out
	Problems   []Problem     `json:"problems,omitempty"`

	Attestations []Attestation `json:"attestations,omitempty"` // those that were asked for
}

// A Problem is one thing that is wrong with a bundle.
type Problem struct {
	Name   string        `json:"name"` // "path@version", or what else the blob is
	Digest digest.Digest `json:"digest,omitempty"`
	Err    error         `json:"-"`
	Error  string        `json:"error"`

	Modules []string      `json:"modules,omitempty"` // of a layer that has several, as it is not known which of them it is
	Files   []FileProblem `json:"files,omitempty"`   // of a directory that was unpacked into: all of them
}

// checker is one run of Check, or of Unpack, over the layers of a bundle.
type checker struct {
	v *Verified

	mu       sync.Mutex
	contents map[string]moduleContent      // by "path@version"
	tools    map[digest.Digest]toolContent // by layer
	problems []Problem
}

// Check reads every blob of the bundle's platforms once and proves it: digest and size, the one
// form a layer can have, the "h1:" sum of every module and toolchain, that go.sum and the checksum
// database say the same, and that the answers to version queries are right. It goes on after a
// problem; the error joins them all, each with the module's name.
func (v *Verified) Check(ctx context.Context) (*Report, error) {
	v = v.during("verify")
	c := &checker{v: v, contents: make(map[string]moduleContent), tools: make(map[digest.Digest]toolContent)}
	layers := v.layers()
	report := &Report{
		Digest: v.Index.Digest, Platforms: v.platforms(), Blobs: 1 + 2*len(v.Platforms) + len(layers), Bytes: v.Index.Size,
		Signatures: v.Signatures, Attestations: v.Attestations, Delta: v.Delta,
	}
	for _, p := range v.Platforms {
		report.Bytes += p.Manifest.Size + p.Config.Size
	}
	for _, l := range layers {
		report.Bytes += l.desc.Size
		for _, m := range l.members() {
			report.count(v, m)
		}
	}
	v.start(layers)
	defer v.proofs.save()
	if err := c.readAll(ctx, layers); err != nil {
		return nil, err
	}
	if err := c.graph(ctx, report); err != nil {
		return nil, err
	}
	slices.SortFunc(c.problems, func(a, b Problem) int { return cmp.Compare(a.Name, b.Name) })
	report.Problems = c.problems
	return report, joinProblems(c.problems)
}

// count counts what is proven of a layer that is no group.
func (r *Report) count(v *Verified, l proofLayer) {
	switch layerKind(l.desc) {
	case kindModule:
		r.Modules++
	case kindToolchain, kindToolchainZip:
		r.Toolchains++
	case kindTool:
		r.Tools++
		return
	default:
		return
	}
	if v.proofs.has(l) {
		r.Remembered++
	}
}

// layers returns the layers of all platforms, each once, the largest first.
func (v *Verified) layers() []proofLayer {
	var layers []proofLayer
	seen := make(map[digest.Digest]bool)
	for _, p := range v.Platforms {
		for i, l := range p.Layers {
			if seen[l.Digest] {
				continue
			}
			seen[l.Digest] = true
			t := proofLayer{desc: l, platform: p.Platform}
			if p.diffIDs != nil {
				t.diffID = p.diffIDs[i]
			}
			layers = append(layers, t)
		}
	}
	slices.SortStableFunc(layers, func(a, b proofLayer) int { return cmp.Compare(b.desc.Size, a.desc.Size) })
	return layers
}

// readAll proves all layers but the graphs. It returns an error only when it could not go on.
func (c *checker) readAll(ctx context.Context, layers []proofLayer) error {
	return parallel(ctx, runtime.GOMAXPROCS(0), layers, func(ctx context.Context, l proofLayer) error {
		var err error
		switch layerKind(l.desc) {
		case kindModule, kindToolchainZip, kindGroup:
			err = c.modules(ctx, l)
		case kindToolchain:
			err = c.v.readToolchain(ctx, l, nil, nil)
		case kindTool:
			err = c.tool(ctx, l)
		default:
			return nil
		}
		c.v.report(Event{Stage: c.v.stage, Item: layerName(l.desc), Items: 1})
		return c.problem(ctx, Problem{Name: layerName(l.desc), Digest: l.desc.Digest, Modules: grouped(l.desc), Err: err})
	})
}

// problem notes what is wrong with the bundle, if p has an error. Errors that are not the bundle's fault are
// returned.
func (c *checker) problem(ctx context.Context, p Problem) error {
	if p.Err == nil {
		return nil
	}
	if oci.Unreadable(p.Err) {
		p.Err = fmt.Errorf("%w: %w", ErrMismatch, p.Err)
	}
	if ctx.Err() != nil || !isProblem(p.Err) {
		return fmt.Errorf("verify %s: %w", p.Name, p.Err)
	}
	p.Error = p.Err.Error()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, p)
	return nil
}

// modules proves a layer of modules. In a group each of them may have a problem of its own.
func (c *checker) modules(ctx context.Context, l proofLayer) error {
	bad := false
	err := c.v.readModules(ctx, l, func(m proofLayer, b *blobReader) error {
		content, err := b.module(ctx, nil)
		if m.group != nil && ctx.Err() == nil && err != nil && isProblem(err) {
			bad = true
			return c.problem(ctx, Problem{Name: layerName(m.desc), Digest: l.desc.Digest, Err: err})
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.contents[layerName(m.desc)] = content
		return nil
	})
	if bad && err != nil && isProblem(err) {
		return nil // it is that of the modules
	}
	return err
}

// tool proves one tool layer.
func (c *checker) tool(ctx context.Context, l proofLayer) error {
	content, err := c.v.readTool(ctx, l, nil)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tools[l.desc.Digest] = content
	return nil
}
