package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// IsUnpacked says whether dir is a directory that bundles were unpacked into.
func IsUnpacked(dir string) bool {
	_, err := unpackedAt(dir)
	return err == nil
}

// UnpackedReceipt lists the bundles that were unpacked into dir, and their layers for its platform whose files nobody
// has touched since they were proven: what [Unpack] does without. It reads no file but those that it kept of the
// bundles.
func UnpackedReceipt(ctx context.Context, dir string) (*Receipt, error) {
	at, err := unpackedAt(dir)
	if err != nil {
		return nil, err
	}
	if at, err = filepath.EvalSymlinks(at); err != nil { // another generation may become current meanwhile
		return nil, err
	}
	kept, verified, err := openUnpacked(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	defer kept.Close()
	root, err := os.OpenRoot(at)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	was, err := readState(at)
	if err != nil {
		return nil, err
	}
	r := newReceipt()
	for _, v := range verified {
		r.Bundles = append(r.Bundles, ReceiptBundle{Digest: v.Index.Digest, Name: v.annotations[ocispec.AnnotationTitle]})
		for _, d := range append(v.documents, document{desc: v.graph()}) {
			r.Blobs[d.desc.Digest] = d.desc.Size
		}
		for _, l := range v.layers() {
			if was.has(root, l) {
				r.Blobs[l.desc.Digest] = l.desc.Size
			}
		}
	}
	r.sort()
	return r, nil
}

// has says whether a generation has the files of a layer, of a group those of all its modules, as they were proven.
func (s state) has(root *os.Root, l proofLayer) bool {
	return !slices.ContainsFunc(l.members(), func(m proofLayer) bool {
		was := s.Layers[m.desc.Digest]
		return was.Name != layerName(m.desc) || len(was.Files) == 0 || !untouched(root, was.Files)
	})
}

// openUnpacked opens what a generation keeps of its bundles. The caller closes the store.
func openUnpacked(ctx context.Context, generation string) (oci.Store, []*Verified, error) {
	was, err := readState(generation)
	if err != nil {
		return nil, nil, err
	}
	if len(was.Bundles) == 0 {
		return nil, nil, errors.New("it was unpacked by an older goferry, which did not keep what its bundles are: unpack them again")
	}
	kept, err := oci.Open(ctx, oci.Reference{Transport: oci.TransportLayout, Path: filepath.Join(generation, genBundles)}, oci.Options{})
	if err != nil {
		return nil, nil, err
	}
	var verified []*Verified
	for _, b := range was.Bundles {
		v, err := open(ctx, kept, b.Digest.String())
		if err == nil {
			v.report = reporter(nil)
			_, _, err = v.openGraph(ctx)
		}
		if err != nil {
			kept.Close()
			return nil, nil, named("bundle", b.Digest, err)
		}
		verified = append(verified, v)
	}
	return kept, verified, nil
}

func readState(generation string) (state, error) {
	var s state
	name := filepath.Join(generation, genState)
	data, err := os.ReadFile(name)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%w: %s: %w", ErrMismatch, name, err)
	}
	return s, nil
}
