package bundle

import (
	"context"
	"fmt"
)

// openGraphs reads the graph layers of the bundles, and lays them together.
func (u *unpacker) openGraphs(ctx context.Context, g *generation) (err error) {
	for _, b := range u.bundles {
		v, closeGraph := u.withGraph(ctx, g, b.Verified)
		record, files, err := v.openGraph(ctx)
		closeGraph()
		if err != nil && u.stays(b.Verified) {
			return u.touched(b.Name, fmt.Errorf("module graph: %w", err))
		}
		if err != nil {
			return fmt.Errorf("unpack %s: module graph: %w", b.Name, err)
		}
		u.parts = append(u.parts, part{b.Name, record, files})
	}
	u.merged, err = merge(u.parts)
	return err
}

// checkGraphs holds the graph of each bundle against its layers, which have been read.
func (u *unpacker) checkGraphs() error {
	for i, b := range u.bundles {
		c := &checker{v: b.Verified, contents: u.contentsOf(b), tools: u.tools}
		if err := c.checkGraph(u.parts[i].record, u.parts[i].files); err != nil {
			return fmt.Errorf("unpack %s: module graph: %w", b.Name, err)
		}
	}
	return nil
}
