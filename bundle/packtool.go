package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/goferry/goferry/bundle/gomod"
)

// toolSource makes the layer of a tool from its executable. It is compressed once, into a file beside that.
func toolSource(t gomod.Tool) (source, error) {
	file, err := toolFile(t.Package, t.Platform)
	if err != nil {
		return source{}, err
	}
	info, err := os.Stat(t.File)
	if err != nil {
		return source{}, err
	}
	name := t.File + ".layer"
	var once sync.Once
	var failed error
	said := recordTool(t)
	return source{
		name: "tool " + said.String(), tool: said.String(), mediaType: mediaTypeTarGzip, size: info.Size(),
		open: func(ctx context.Context) (io.ReadCloser, error) {
			once.Do(func() { failed = toolLayer(ctx, name, file, t.File, info.Size()) })
			if failed != nil {
				return nil, failed
			}
			return os.Open(name)
		},
		prove: func(ctx context.Context, r io.Reader) (proof, error) {
			s, err := newSpool(info.Size())
			if err != nil {
				return proof{}, err
			}
			defer s.Close()
			c, err := readToolLayer(ctx, r, t.Package, t.Platform, s)
			if err != nil {
				return proof{}, err
			}
			return proof{t.Info.Main.Sum, c.diffID}, said.checkInfo(c.info, sumsOf(builtOf(t.Info)))
		},
	}, nil
}

func sumsOf(modules []RecordModule) map[string]string {
	sums := make(map[string]string, len(modules))
	for _, m := range modules {
		sums[m.String()] = m.Sum
	}
	return sums
}

// toolLayer writes the layer of an executable to the file name.
func toolLayer(ctx context.Context, name, file, executable string, size int64) error {
	in, err := os.Open(executable)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(writeTool(ctx, out, file, size, in), out.Close())
}

// beginTools enters the tools in the record, and what they were built of among what is expected: whether it is
// carried or not, its sums have to be right.
func (p *packer) beginTools() error {
	sums := make(map[string]RecordModule)
	for _, t := range p.captured.Tools {
		p.record.Tools = append(p.record.Tools, recordTool(t))
		for _, m := range builtOf(t.Info) {
			if was, ok := sums[m.String()]; ok && was != m || !isSum(m.Sum) {
				return fmt.Errorf("%w: tool %s@%s was built of %s with the sum %q", ErrMismatch, t.Package, t.Version, m, m.Sum)
			}
			sums[m.String()] = m
		}
	}
	slices.SortFunc(p.record.Tools, compareTools)
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		m := sums[name]
		p.order = append(p.order, &expected{module: gomod.Module{Path: m.Path, Version: m.Version}, entry: m, builtIn: true, done: make(chan struct{})})
	}
	return nil
}

// completeTools enters in the record what tools were built of and is not carried whole.
func (p *packer) completeTools() error {
	carried := sumsOf(p.record.Modules)
	for _, e := range p.order {
		sum := carried[e.entry.String()]
		switch {
		case !e.builtIn:
		case sum == "":
			p.record.ToolModules = append(p.record.ToolModules, e.entry)
		case sum != e.entry.Sum:
			return fmt.Errorf("%w: a tool was built of %s with the sum %s, the bundle carries it with %s", ErrMismatch, e.entry, e.entry.Sum, sum)
		}
	}
	slices.SortFunc(p.record.ToolModules, compareModules)
	return nil
}
