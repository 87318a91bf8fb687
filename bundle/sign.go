package bundle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// ErrHidden says that cosign would not see a signature any more. It asks for sigstore bundles first and, where there is
// one by anybody, for nothing else.
var ErrHidden = errors.New("cosign would see only the sigstore bundles")

// SignOptions says what a signature says, and how it is kept.
type SignOptions struct {
	Format     SignatureFormat   // "" means FormatBoth, or what of it hides no signature that is there
	Claims     map[string]string // beside, or in place of, those that goferry makes
	Repository string            // "HOST/REPOSITORY" where it is kept; "" in a layout
	Time       time.Time         // of signing
	Warn       func(string)      // nil: not told; one line each
	Progress   func(Event)       // nil: not told
}

// Signed is what Sign did.
type Signed struct {
	Digest    digest.Digest     `json:"digest"`
	MediaType string            `json:"mediaType"`
	KeyID     string            `json:"keyID"`     // base64 of the public key's SHA-256
	Manifests int               `json:"manifests"` // signed beside it, because it names them
	Added     int               `json:"added"`     // signatures that were not there
	Claims    map[string]string `json:"claims,omitempty"`
}

// maxSigned is how many manifests one index can have that is signed.
const maxSigned = 1000

// Sign signs what target names, a tag or a digest, and before it every manifest that it names: Harbor asks for a
// signature of each. What the key has signed, with the same claims, is not signed again, and no signature is lost. It
// is [ErrHidden] where the format that the options name would make cosign fail.
//
// Two that sign the same at the same time in a registry may lose one of the two payloads, as with cosign: a tag cannot
// be changed under a lock there. Nothing is lost of sigstore bundles.
func Sign(ctx context.Context, s oci.Store, target string, signer *signing.Signer, opts SignOptions) (*Signed, error) {
	if opts.Warn == nil {
		opts.Warn = func(string) {}
	}
	if sequence, ok := opts.Claims[ClaimSequence]; ok {
		if _, err := parseSequence(sequence); err != nil {
			return nil, err
		}
	}
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return nil, err
	}
	report := reporter(opts.Progress)
	r := &signRun{store: s, signer: signer, opts: opts}
	todo, err := r.collect(ctx, desc, target)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", desc.Digest, err)
	}
	for _, t := range todo {
		if err := r.plan(ctx, t); err != nil {
			return nil, fmt.Errorf("sign %s: %w", t.desc.Digest, err)
		}
	}
	for _, t := range todo {
		if err := r.write(ctx, t); err != nil {
			return nil, fmt.Errorf("sign %s: %w", t.desc.Digest, err)
		}
		report(Event{Stage: "sign", Item: t.desc.Digest.String(), Items: 1, TotalItems: len(todo)})
	}
	root := todo[len(todo)-1]
	return &Signed{desc.Digest, desc.MediaType, signer.Verifier().ID(), len(todo) - 1, r.added, root.says.Claims}, nil
}

// signRun is one run of Sign.
type signRun struct {
	store  oci.Store
	signer *signing.Signer
	opts   SignOptions
	added  int
}

// A signee is a manifest or an index that is signed.
type signee struct {
	desc        ocispec.Descriptor
	says        signing.Statement
	stored      *storedSignatures
	sig, bundle bool // what of it has to be written
}

// collect returns what has to be signed, what names the others last.
func (r *signRun) collect(ctx context.Context, root ocispec.Descriptor, target string) ([]*signee, error) {
	var index ocispec.Index // of a manifest the annotations
	if _, err := oci.FetchDocument(ctx, r.store, root, &index); err != nil {
		return nil, named("manifest", root.Digest, err)
	}
	if index.Annotations[AnnotationFormat] != "" {
		if _, err := openIndex(ctx, r.store, root); err != nil {
			return nil, err // a bundle that is not a whole one
		}
	}
	claims := map[string]string{ClaimSequence: r.opts.Time.UTC().Format("20060102150405")}
	if name := r.name(index.Annotations); name != "" {
		claims[ClaimName] = name
	}
	if target != "" && target != root.Digest.String() {
		claims[ClaimTag] = target
	}
	manifests, err := signable(root, index)
	if err != nil {
		return nil, err
	}
	var todo []*signee
	var platforms []string
	for _, m := range manifests {
		part := maps.Clone(claims)
		part[ClaimIndex] = root.Digest.String()
		if name := platformName(m.Platform); name != "" {
			part[ClaimPlatforms] = name
			platforms = append(platforms, name)
		}
		todo = append(todo, r.signee(m, part))
	}
	if len(platforms) > 0 {
		claims[ClaimPlatforms] = strings.Join(platforms, ",")
	}
	return append(todo, r.signee(root, claims)), nil
}

// signable returns the manifests that an index names.
func signable(root ocispec.Descriptor, index ocispec.Index) ([]ocispec.Descriptor, error) {
	if root.MediaType != ocispec.MediaTypeImageIndex {
		return nil, nil
	}
	manifests := slices.DeleteFunc(index.Manifests, func(m ocispec.Descriptor) bool { return m.MediaType != ocispec.MediaTypeImageManifest })
	if len(manifests) > maxSigned {
		return nil, fmt.Errorf("it names %d manifests, at most %d are signed", len(manifests), maxSigned)
	}
	for _, m := range manifests {
		if err := checkDescriptor(m); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
		}
	}
	return manifests, nil
}

func (r *signRun) signee(desc ocispec.Descriptor, claims map[string]string) *signee {
	maps.Copy(claims, r.opts.Claims)
	bare := ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
	return &signee{desc: bare, says: signing.Statement{Digest: desc.Digest, Reference: r.opts.Repository, Claims: claims}}
}

// name is what a thing is called wherever it is kept: a bundle's title, which is a part of it.
func (r *signRun) name(annotations map[string]string) string {
	if annotations[AnnotationFormat] != "" {
		return annotations[ocispec.AnnotationTitle]
	}
	if r.opts.Repository == "" {
		return ""
	}
	return path.Base(r.opts.Repository)
}

func platformName(p *ocispec.Platform) string {
	if p == nil || p.OS == "" || p.OS == "unknown" {
		return ""
	}
	return path.Join(p.OS, p.Architecture, p.Variant)
}

// plan settles in which forms t is signed.
func (r *signRun) plan(ctx context.Context, t *signee) (err error) {
	if t.stored, err = readSignatures(ctx, r.store, t.desc); err != nil {
		return err
	}
	t.sig, t.bundle = r.opts.Format != FormatBundle, r.opts.Format != FormatSig
	if t.sig && t.stored.tagged.Digest != "" && t.stored.sig == nil {
		return fmt.Errorf("the signatures that are there cannot be read, and would be lost: %w", errors.Join(t.stored.problems...))
	}
	var ours signing.Statement
	var hasSig, hasBundle, others bool
	for _, st := range t.stored.list {
		said, err := st.Verify(r.signer.Verifier(), t.desc.Digest)
		switch {
		case errors.Is(err, signing.ErrNoMatch):
			others = others || st.format == FormatSig
		case err == nil && r.same(said.Claims, t.says.Claims):
			ours = said
			hasSig = hasSig || st.format == FormatSig
			hasBundle = hasBundle || st.format == FormatBundle
		}
	}
	if ours.Digest != "" {
		t.says.Claims = ours.Claims // both forms say the same
	}
	switch {
	case t.bundle && others && len(t.stored.bundles) == 0 && r.opts.Format == "":
		t.bundle = false
		r.opts.Warn(fmt.Sprintf("%s has a signature by another key outside of sigstore bundles, which one would hide from cosign: it is signed as that one is", t.desc.Digest))
	case t.bundle && others && len(t.stored.bundles) == 0:
		return fmt.Errorf("%w: a signature by another key is not in one", ErrHidden)
	case !t.bundle && len(t.stored.bundles) > 0 && !hasBundle:
		return fmt.Errorf("%w: it has %d already", ErrHidden, len(t.stored.bundles))
	}
	t.sig, t.bundle = t.sig && !hasSig, t.bundle && !hasBundle
	return nil
}

// same says whether two signatures say the same. When they were made does not count, unless the user numbers them.
func (r *signRun) same(was, is map[string]string) bool {
	if _, numbered := r.opts.Claims[ClaimSequence]; !numbered {
		was, is = maps.Clone(was), maps.Clone(is)
		delete(was, ClaimSequence)
		delete(is, ClaimSequence)
	}
	return maps.Equal(was, is)
}

// parseSequence refuses what could not be compared with another.
func parseSequence(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, not a number", ClaimSequence, s)
	}
	return n, nil
}
