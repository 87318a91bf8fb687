package bundle

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// VerifyOptions says what is verified.
type VerifyOptions struct {
	Platforms []gomod.Platform // none: all of the bundle's
	Trust     *Trust           // nil: nothing is asked of signatures
	Progress  func(Event)      // nil: not told

	// CacheDir is where it is remembered what was proven of a layer, here or by [Pack]: one with the same
	// digest is hashed again, but not inflated. "" is nowhere. Whoever can write there is believed.
	CacheDir string
}

// Verified is a bundle whose identity is settled: the index, the manifests and the configs
// have been read by digest and are a bundle's in every part. The blobs below them are proven
// as they are read, by [Verified.Check] and [Unpack]; a Verified is the only way to them.
type Verified struct {
	Index     ocispec.Descriptor
	Platforms []Platform // in the order of the index; those that were asked for

	// Signatures are those that the Trust believes; nil: none was asked for, and nobody knows who made the bundle.
	Signatures []Signature

	// Delta is what index.json says of blobs that were left out; nil: nothing of the kind.
	Delta *oci.Delta

	Attestations []Attestation // that the Trust asked for

	store       oci.Store
	documents   []document // index, manifests and configs, of all platforms
	annotations map[string]string
	proofs      *proofs
	report      func(Event)
	stage       string        // of the events
	held        *atomic.Int64 // bytes of the small files that a run has in memory; nil: not counted
}

// during returns v for a run that reports its events as of that stage.
func (v Verified) during(stage string) *Verified {
	v.stage, v.held = stage, new(atomic.Int64)
	return &v
}

// hold counts what a run keeps in memory of a module.
func (v *Verified) hold(c moduleContent) error {
	if v.held != nil && v.held.Add(int64(len(c.info)+len(c.mod))) > maxHeld {
		return fmt.Errorf("%w: the go.mod files of the bundle have more than %d bytes", ErrMismatch, maxHeld)
	}
	return nil
}

// start reports how much there is to do.
func (v *Verified) start(layers []proofLayer) {
	e := Event{Stage: v.stage, TotalItems: len(layers)}
	for _, l := range layers {
		e.TotalBytes += l.desc.Size
	}
	v.report(e)
}

// A Platform is what a bundle has for one platform.
type Platform struct {
	gomod.Platform
	Manifest ocispec.Descriptor
	Config   ocispec.Descriptor
	Layers   []ocispec.Descriptor

	diffIDs []digest.Digest // nil unless it is a runnable image
}

// Runnable says whether the platform's manifest is an image that can be run.
func (p Platform) Runnable() bool { return p.Config.MediaType == ocispec.MediaTypeImageConfig }

// ImageConfig returns what a container of the platform's image begins with. A platform that is not
// [Platform.Runnable] is an error.
func (v *Verified) ImageConfig(ctx context.Context, p Platform) (ocispec.ImageConfig, error) {
	if !p.Runnable() {
		return ocispec.ImageConfig{}, fmt.Errorf("%s has %d layers and is not a runnable image", p, len(p.Layers))
	}
	var image ocispec.Image
	if _, err := oci.FetchDocument(ctx, v.store, p.Config, &image); err != nil {
		return ocispec.ImageConfig{}, named("config", p.Config.Digest, err)
	}
	return image.Config, nil
}

// Verify finds the bundle that target, a tag or a digest, names in s, and checks its documents.
// It is found once, and everything after that is by digest. Where the options have a Trust, nothing is read of
// what is not signed, which is [ErrUntrusted]. A target that is there but is not a bundle, or not a whole one, is
// [ErrMismatch].
func Verify(ctx context.Context, s oci.Store, target string, opts VerifyOptions) (*Verified, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	return verify(ctx, s, desc, target, opts)
}

func verify(ctx context.Context, s oci.Store, desc ocispec.Descriptor, target string, opts VerifyOptions) (v *Verified, err error) {
	var believed Decision
	if opts.Trust != nil {
		if believed, err = opts.Trust.check(ctx, s, desc, target); err != nil {
			return nil, err
		}
	}
	if v, err = openIndex(ctx, s, desc); err != nil {
		return nil, err
	}
	if v.Delta, err = oci.FindDelta(ctx, s, target); err != nil {
		return nil, err
	}
	v.Signatures, v.Attestations = believed.Signatures, believed.Attestations
	v.report, v.proofs = reporter(opts.Progress), openProofs(opts.CacheDir)
	if len(opts.Platforms) == 0 {
		return v, nil
	}
	for _, want := range opts.Platforms {
		if !slices.ContainsFunc(v.Platforms, func(p Platform) bool { return p.Platform == want }) {
			return nil, fmt.Errorf("verify %s: %w: no platform %s in the bundle, it has %v", v.Index.Digest, oci.ErrNotFound, want, v.platforms())
		}
	}
	v.Platforms = slices.DeleteFunc(v.Platforms, func(p Platform) bool { return !slices.Contains(opts.Platforms, p.Platform) })
	return v, nil
}

func (v *Verified) platforms() []string {
	var names []string
	for _, p := range v.Platforms {
		names = append(names, p.String())
	}
	return names
}

// open finds a bundle and reads its documents.
func open(ctx context.Context, s oci.Store, target string) (*Verified, error) {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	v, err := openIndex(ctx, s, desc)
	if err == nil {
		v.Delta, err = oci.FindDelta(ctx, s, target)
	}
	return v, err
}

// openIndex reads the documents of a bundle.
func openIndex(ctx context.Context, s oci.Store, desc ocispec.Descriptor) (*Verified, error) {
	if desc.MediaType != ocispec.MediaTypeImageIndex {
		return nil, notBundle(desc)
	}
	var index ocispec.Index
	data, err := oci.FetchDocument(ctx, s, desc, &index)
	if err != nil {
		return nil, named("index", desc.Digest, err)
	}
	if err := checkIndex(data, index); err != nil {
		return nil, fmt.Errorf("%w: index %s: %w", ErrMismatch, desc.Digest, err)
	}
	v := &Verified{Index: desc, store: s, proofs: openProofs(""), documents: []document{{desc, data}}, annotations: index.Annotations}
	documents := desc.Size
	for _, m := range index.Manifests {
		p, read, err := openPlatform(ctx, s, m)
		if err != nil {
			return nil, err
		}
		v.Platforms, v.documents = append(v.Platforms, p), append(v.documents, read...)
		if documents += p.Manifest.Size + p.Config.Size; documents > maxDocuments {
			return nil, fmt.Errorf("%w: manifests and configs have more than %d bytes", ErrMismatch, maxDocuments)
		}
	}
	return v, v.checkNames()
}

// checkNames refuses a bundle in which one blob has two names, or one module two blobs: each
// layer is read once, for all platforms that have it.
func (v *Verified) checkNames() error {
	names, blobs := make(map[digest.Digest]string), make(map[string]digest.Digest)
	is := func(d digest.Digest, name string) error {
		if other, ok := names[d]; ok && other != name {
			return fmt.Errorf("%w: layer %s is both %s and %s", ErrMismatch, d, other, name)
		}
		names[d] = name
		return nil
	}
	for _, p := range v.Platforms {
		for _, l := range p.Layers {
			if group := l.Annotations[AnnotationGroup]; group != "" {
				if err := is(l.Digest, group); err != nil {
					return err
				}
			}
			for _, m := range Members(l) {
				what := layerName(m)
				if layerKind(m) == kindTool {
					what += " for " + p.String()
				}
				if err := is(m.Digest, what+" "+m.Annotations[AnnotationSum]); err != nil {
					return err
				}
				if other, ok := blobs[what]; ok && other != l.Digest {
					return fmt.Errorf("%w: %s is both in %s and in %s", ErrMismatch, what, other, l.Digest)
				}
				blobs[what] = l.Digest
			}
		}
	}
	return nil
}
