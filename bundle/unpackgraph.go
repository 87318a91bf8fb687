package bundle

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// openGraphs reads the graph layers of the bundles.
func (u *unpacker) openGraphs(ctx context.Context, g *generation) ([]part, error) {
	var parts []part
	for _, b := range u.bundles {
		v, closeGraph := u.withGraph(ctx, g, b.Verified)
		record, files, err := v.openGraph(ctx)
		closeGraph()
		if err != nil && u.stays(b.Verified) {
			return nil, u.touched(b.Name, fmt.Errorf("module graph: %w", err))
		}
		if err != nil {
			return nil, fmt.Errorf("unpack %s: module graph: %w", b.Name, err)
		}
		parts = append(parts, part{b.Name, record, files})
	}
	return parts, nil
}

// checkGraphs holds the graph of each bundle against its layers, which have been read.
func (u *unpacker) checkGraphs(parts []part) error {
	for i, b := range u.bundles {
		c := &checker{v: b.Verified, contents: u.contentsOf(b), tools: u.tools}
		if err := c.checkGraph(parts[i].record, parts[i].files); err != nil {
			return fmt.Errorf("unpack %s: module graph: %w", b.Name, err)
		}
	}
	return nil
}

// answers writes the small files that are made of all bundles together.
func (u *unpacker) answers(ctx context.Context, w *layerWriter, m *merged) error {
	answers, err := m.answers(u.contents)
	if err != nil {
		return err
	}
	if err := u.dropToolchainInfos(answers); err != nil {
		return err
	}
	return u.smallFiles(ctx, w, answers)
}

// smallFiles writes files of graph layers that belong into the GOPROXY tree.
func (u *unpacker) smallFiles(ctx context.Context, w *layerWriter, files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.write(path.Join(genDownload, strings.TrimPrefix(name, downloadDir)), files[name]); err != nil {
			return err
		}
	}
	return nil
}
