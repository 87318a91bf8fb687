package bundle

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// checkThere fails if the bundles and the current generation do not have every layer between them. What is missing is
// named before anything is written.
func (u *unpacker) checkThere() error {
	var missing []string
	var elsewhere map[digest.Digest][]siteLayer
	for name, l := range u.layers {
		if u.stays(l.v) || !l.v.lacks(l.blob()) {
			continue
		}
		if elsewhere == nil {
			elsewhere = u.byDigest()
		}
		same := elsewhere[l.desc.Digest]
		if i := slices.IndexFunc(same, func(other siteLayer) bool { return !other.v.lacks(other.blob()) }); i >= 0 {
			u.layers[name] = same[i]
			continue
		}
		if u.links[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("unpack: %w: missing from both %s and %s: %s", ErrIncomplete, u.bundles[0].Name, u.tree.dir, someOf(missing))
}

// lacks reports whether a blob is one that was left out.
func (v *Verified) lacks(desc ocispec.Descriptor) bool {
	return len(oci.Lacking(v.store, []ocispec.Descriptor{desc})) > 0
}

// byDigest returns the layers of all bundles but those that stay.
func (u *unpacker) byDigest() map[digest.Digest][]siteLayer {
	layers := make(map[digest.Digest][]siteLayer)
	for _, b := range u.bundles {
		if u.stays(b.Verified) {
			continue
		}
		for _, l := range b.siteLayers() {
			layers[l.desc.Digest] = append(layers[l.desc.Digest], l)
		}
	}
	return layers
}

// withGraph is a bundle whose graph layer can be read: one that was left out of a delta is among what the current
// generation keeps of its bundles, if that is what the delta builds on. The caller calls the function that closes it.
func (u *unpacker) withGraph(ctx context.Context, g *generation, v *Verified) (*Verified, func()) {
	nothing := func() {}
	if g.old == "" || u.stays(v) || !v.lacks(v.graph()) {
		return v, nothing
	}
	kept, err := oci.Open(ctx, oci.Reference{Transport: oci.TransportLayout, Path: filepath.Join(u.tree.dir, filepath.FromSlash(g.old), genBundles)}, oci.Options{})
	if err != nil {
		return v, nothing // which then says what is missing
	}
	other := *v
	other.store = kept
	return &other, func() { kept.Close() }
}
