package bundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/sumdb"
	"github.com/goferry/goferry/oci"
)

// keep hands over the documents and the graph layer of each bundle, as they are, for a later run that adds
// to them: they prove what the generation's files are of.
func (u *unpacker) keep(to writeFunc) error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	there := make(map[string]bool)
	write := func(desc ocispec.Descriptor, data []byte) error {
		name := path.Join(genBundles, ocispec.ImageBlobsDir, "sha256", desc.Digest.Encoded())
		if there[name] {
			return nil // of two bundles
		}
		there[name] = true
		return to(name, data)
	}
	for i, b := range u.bundles {
		index.Manifests = append(index.Manifests, b.Index)
		for _, d := range b.documents {
			if err := write(d.desc, d.data); err != nil {
				return err
			}
		}
		var graph bytes.Buffer
		if err := writeGraph(&graph, u.parts[i].files); err != nil {
			return err
		}
		layers := b.Platforms[0].Layers
		if err := write(layers[len(layers)-1], graph.Bytes()); err != nil {
			return err
		}
	}
	slices.SortFunc(index.Manifests, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := to(path.Join(genBundles, ocispec.ImageIndexFile), data); err != nil {
		return err
	}
	return to(path.Join(genBundles, ocispec.ImageLayoutFile), []byte(`{"imageLayoutVersion":"`+ocispec.ImageLayoutVersion+`"}`))
}

// stay takes the bundles of the current generation, as far as they are kept.
func (u *unpacker) stay(ctx context.Context, g *generation) (err error) {
	if len(g.before.Bundles) == 0 {
		return fmt.Errorf("%s was unpacked by an older goferry, which did not keep what it needs to add to it: unpack its bundle again, with the others", u.tree.dir)
	}
	if is := u.opts.Platform.String(); g.before.Platform != is {
		return fmt.Errorf("%s is for %s: nothing for %s is added to it", u.tree.dir, g.before.Platform, is)
	}
	if u.opts.Extract && !g.before.Extract {
		return fmt.Errorf("%s has no extracted modules: unpack all its bundles again to have them", u.tree.dir)
	}
	u.opts.Extract = g.before.Extract
	layout := oci.Reference{Transport: oci.TransportLayout, Path: filepath.Join(u.tree.dir, filepath.FromSlash(g.old), genBundles)}
	if u.kept, err = oci.Open(ctx, layout, oci.Options{}); err != nil {
		return u.touched("its bundles", err)
	}
	for _, b := range g.before.Bundles {
		v, err := open(ctx, u.kept, b.Digest.String())
		if err != nil {
			return u.touched(b.Name, err)
		}
		v.report = u.bundles[0].report
		if err := u.take(SiteBundle{b.Name, v}); err != nil {
			return err
		}
		if taken := u.bundles[len(u.bundles)-1]; u.stays(taken.Verified) && taken.Index.Digest == b.Digest {
			u.known[taken.Verified] = b
		}
	}
	return nil
}

// stays says whether a bundle is one that the directory had before.
func (u *unpacker) stays(v *Verified) bool { return u.kept != nil && v.store == u.kept }

// touched is the error for a bundle that stays when what is kept of it is not as it was. It is not
// ErrIncomplete, whatever the cause: another copy of the bundle would not help.
func (u *unpacker) touched(name string, cause error) error {
	return fmt.Errorf("%w: %s has been changed since: unpack %s again, with the others (%v)", ErrMismatch, u.tree.dir, name, cause)
}

// checkHeads warns of a checksum database on which go commands that used the directory so far will
// not go on: they have seen the head of the generation before. One that contradicts it is refused.
func (u *unpacker) checkHeads(g *generation) error {
	m := u.merged
	name, key, err := sumdb.VerifierKey(m.record.SumDB)
	if err != nil || m.record.SumDB == "" || g.old == "" {
		return nil
	}
	dir := sumDBDir(name)
	before, err := u.tree.root.ReadFile(path.Join(g.old, genDownload, "sumdb", name, "latest"))
	if err != nil {
		return nil // it had none
	}
	if _, err := sumdb.HeadSize(before, key); err != nil || m.sumdb[dir+"latest"] == nil {
		return nil
	}
	err = sumdb.Connect(readSumDB(m.sumdb, dir), key, [][]byte{before, m.sumdb[dir+"latest"]})
	if errors.Is(err, sumdb.ErrSecurity) {
		return fmt.Errorf("%w: the checksum database contradicts what %s has had so far: %w", ErrMismatch, u.tree.dir, err)
	}
	var apart *sumdb.ConnectError
	if errors.As(err, &apart) {
		u.opts.Warn(fmt.Sprintf("go commands that have used %s so far will refuse the checksum database: no way leads from tree head %d to %d; keep what is there with --add, or pack with --since",
			u.tree.dir, apart.Older, apart.Newer))
	}
	return nil
}
