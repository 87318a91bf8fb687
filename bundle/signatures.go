package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// A SignatureFormat is one of the two forms in which cosign keeps signatures, or both.
type SignatureFormat string

const (
	FormatSig    SignatureFormat = "sig"    // payloads in the manifest with the tag sha256-<hex>.sig, as cosign 2 has them
	FormatBundle SignatureFormat = "bundle" // a sigstore bundle that refers to what is signed, as cosign 3 has it
	FormatBoth   SignatureFormat = "both"
)

// Claims that goferry makes, beside those of the user.
const (
	ClaimName      = "dev.goferry.name"      // what the bundle is called, wherever it is: its title
	ClaimTag       = "dev.goferry.tag"       // the tag it had when it was signed
	ClaimSequence  = "dev.goferry.sequence"  // a number that grows from one bundle of the name to the next: the time of signing
	ClaimPlatforms = "dev.goferry.platforms" // "linux/amd64,linux/arm64"
	ClaimIndex     = "dev.goferry.index"     // on a manifest: the digest of the index that it was signed as a part of
)

const (
	maxSignatures    = 1000      // of a manifest, in each form
	maxSignatureBlob = 128 << 10 // bytes
	maxSignatureSum  = 16 << 20  // bytes of all, as they are kept in memory

	bundleMediaTypes = "application/vnd.dev.sigstore.bundle" // what the media types of all versions begin with
)

// storedSignatures is what is kept as signatures of one manifest. Nothing of it is verified.
type storedSignatures struct {
	list     []storedSignature
	tagged   ocispec.Descriptor // what has the tag .sig
	sig      *ocispec.Manifest  // the same, read; nil if that was not possible
	bundles  []storedBundle     // sigstore bundles, attestations and unreadable ones too
	bytes    int64              // of what was read
	problems []error            // with what could not be read
}

type storedSignature struct {
	*signing.Signature
	format SignatureFormat
}

// A storedBundle is a blob with a sigstore bundle, or with an envelope.
type storedBundle struct {
	blob          ocispec.Descriptor
	predicateType string // that its manifest says it has; "" if that says nothing
}

// mayHave says whether the bundle may be of the type. What the manifest says is believed so far: who can change that can
// as well remove it.
func (b storedBundle) mayHave(predicateType string) bool {
	return b.predicateType == "" || b.predicateType == predicateType
}

// readSignatures finds the signatures of a manifest. Something that is wrong with one of them is no error, as it must
// not hide the others; the error is for what is nobody's fault, such as a registry that does not answer.
func readSignatures(ctx context.Context, s oci.Store, desc ocispec.Descriptor) (*storedSignatures, error) {
	found := new(storedSignatures)
	var err error
	found.tagged, err = oci.Find(ctx, s, oci.SignatureTag(desc.Digest))
	if err := found.problem(ctx, err); err != nil {
		return nil, err
	}
	if found.tagged.Digest != "" {
		if found.sig, err = found.manifest(ctx, s, found.tagged); err != nil {
			return nil, err
		}
	}
	referrers, err := s.Predecessors(ctx, desc)
	if err := found.problem(ctx, err); err != nil {
		return nil, err
	}
	if len(referrers) > maxSignatures {
		found.problems = append(found.problems, fmt.Errorf("%d manifests refer to it, at most %d are read", len(referrers), maxSignatures))
		referrers = nil
	}
	for _, r := range referrers {
		if r.MediaType != ocispec.MediaTypeImageManifest || r.Digest == found.tagged.Digest {
			continue // Harbor lists what has the tag, too
		}
		// What its descriptor says that it is was written by anybody, and often wrongly.
		if _, err := found.manifest(ctx, s, r); err != nil {
			return nil, err
		}
	}
	return found, found.readBundles(ctx, s)
}

var errNotSignature = errors.New("which is not a signature")

// readBundles reads the signatures among the sigstore bundles. What a manifest says is an attestation may be large, and
// is left alone.
func (f *storedSignatures) readBundles(ctx context.Context, s oci.Store) error {
	for _, b := range smallestFirst(f.bundles) {
		err := fmt.Errorf("an attestation (%q), %w", b.predicateType, errNotSignature)
		if b.mayHave(signing.PredicateType) {
			err = f.readBundle(ctx, s, b)
		}
		if err := f.problem(ctx, err); err != nil {
			return fmt.Errorf("signature %s: %w", b.blob.Digest, err)
		}
	}
	return nil
}

// unreadable says what is wrong with what may be signatures.
func (f *storedSignatures) unreadable() (reasons []string) {
	for _, err := range f.problems {
		if !errors.Is(err, errNotSignature) {
			reasons = append(reasons, err.Error())
		}
	}
	return reasons
}

// besides is what else an error can say where no signature matched: what the signatures call keys that were not asked
// for, which anybody may have written, and how many attestations there are.
func (f *storedSignatures) besides(asked []TrustedKey) (text string) {
	const most = 3
	var keys []string
	for _, st := range f.list {
		key := st.Hint()
		known := slices.Contains(keys, key) || slices.ContainsFunc(asked, func(k TrustedKey) bool { return k.ID() == key })
		if key != "" && !known {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		slices.Sort(keys)
		text = "; the key ID is said to be " + strings.Join(keys[:min(len(keys), most)], " or ")
	}
	if n := len(f.problems) - len(f.unreadable()); n > 0 {
		text += fmt.Sprintf("; %s besides", plural(n, "attestation"))
	}
	return text
}

func (f *storedSignatures) readBundle(ctx context.Context, s oci.Store, b storedBundle) error {
	data, err := f.fetch(ctx, s, b.blob)
	if err != nil {
		return err
	}
	sig, err := signing.ParseBundle(data)
	if err == nil {
		f.list = append(f.list, storedSignature{sig, FormatBundle})
	}
	return err
}

// smallestFirst returns each of the bundles once, in an order in which those that are large for nothing hide none.
func smallestFirst(bundles []storedBundle) []storedBundle {
	sorted := slices.SortedFunc(slices.Values(bundles), func(a, b storedBundle) int {
		return cmp.Or(cmp.Compare(a.blob.Size, b.blob.Size), cmp.Compare(a.blob.Digest, b.blob.Digest), cmp.Compare(a.predicateType, b.predicateType))
	})
	return slices.CompactFunc(sorted, func(a, b storedBundle) bool {
		return a.blob.Size == b.blob.Size && a.blob.Digest == b.blob.Digest && a.predicateType == b.predicateType
	})
}

// problem notes err, unless it is about reaching what is stored.
func (f *storedSignatures) problem(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || errors.Is(err, oci.ErrNetwork) || errors.Is(err, oci.ErrUnauthorized) {
		return err
	}
	f.problems = append(f.problems, err)
	return nil
}

// manifest reads the payloads that a manifest holds, and notes its sigstore bundles. It returns nil for one that cannot be read.
func (f *storedSignatures) manifest(ctx context.Context, s oci.Store, desc ocispec.Descriptor) (*ocispec.Manifest, error) {
	var m ocispec.Manifest
	if _, err := oci.FetchDocument(ctx, s, desc, &m); err != nil {
		return nil, f.problem(ctx, fmt.Errorf("manifest %s: %w", desc.Digest, err))
	}
	if len(m.Layers) > maxSignatures {
		f.problems = append(f.problems, fmt.Errorf("manifest %s: %d signatures, at most %d are read", desc.Digest, len(m.Layers), maxSignatures))
		return nil, nil
	}
	blobs := make(map[digest.Digest][]byte) // keys that sign the same claims sign the same blob
	for _, l := range m.Layers {
		if strings.HasPrefix(l.MediaType, bundleMediaTypes) {
			f.bundles = append(f.bundles, storedBundle{l, m.Annotations[annotationPredicateType]})
		}
		if l.MediaType != signing.MediaTypePayload {
			continue
		}
		if err := f.problem(ctx, f.payload(ctx, s, l, blobs)); err != nil {
			return nil, fmt.Errorf("signature %s: %w", l.Digest, err)
		}
	}
	return &m, nil
}

func (f *storedSignatures) payload(ctx context.Context, s oci.Store, l ocispec.Descriptor, blobs map[digest.Digest][]byte) error {
	data, ok := blobs[l.Digest]
	if !ok {
		var err error
		if data, err = f.fetch(ctx, s, l); err != nil {
			return err
		}
		blobs[l.Digest] = data
	}
	sig, err := signing.ParsePayload(data, l.Annotations[signing.AnnotationSignature])
	if err == nil {
		f.list = append(f.list, storedSignature{sig, FormatSig})
	}
	return err
}

func (f *storedSignatures) fetch(ctx context.Context, s oci.Store, desc ocispec.Descriptor) ([]byte, error) {
	if f.bytes > maxSignatureSum {
		return nil, fmt.Errorf("%w: all signatures together have more than %d bytes", signing.ErrMalformed, maxSignatureSum)
	}
	data, err := oci.FetchBytes(ctx, s, desc, maxSignatureBlob)
	if err == nil {
		f.bytes += int64(len(data)) // what only claims to be large keeps nothing else from being read
	}
	return data, err
}
