package bundle

import (
	"context"
	"errors"
	"fmt"
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
	return found, nil
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

// manifest reads the signatures that a manifest holds. It returns nil for one that cannot be read.
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
		isBundle := strings.HasPrefix(l.MediaType, bundleMediaTypes)
		if !isBundle && l.MediaType != signing.MediaTypePayload {
			continue
		}
		if isBundle {
			b := storedBundle{l, m.Annotations[annotationPredicateType]}
			f.bundles = append(f.bundles, b)
			if !b.mayHave(signing.PredicateType) {
				f.problems = append(f.problems, fmt.Errorf("an attestation (%q), which is not a signature", b.predicateType))
				continue // it may be large
			}
		}
		err := f.layer(ctx, s, l, isBundle, blobs)
		if err := f.problem(ctx, err); err != nil {
			return nil, fmt.Errorf("signature %s: %w", l.Digest, err)
		}
	}
	return &m, nil
}

func (f *storedSignatures) layer(ctx context.Context, s oci.Store, l ocispec.Descriptor, isBundle bool, blobs map[digest.Digest][]byte) error {
	data, ok := blobs[l.Digest]
	if !ok {
		if f.bytes > maxSignatureSum {
			return fmt.Errorf("%w: all signatures together have more than %d bytes", signing.ErrMalformed, maxSignatureSum)
		}
		var err error
		if data, err = oci.FetchBytes(ctx, s, l, maxSignatureBlob); err != nil {
			return err
		}
		f.bytes += int64(len(data)) // what only claims to be large keeps nothing else from being read
		blobs[l.Digest] = data
	}
	stored := storedSignature{format: FormatSig}
	var err error
	if isBundle {
		stored.format = FormatBundle
		stored.Signature, err = signing.ParseBundle(data)
	} else {
		stored.Signature, err = signing.ParsePayload(data, l.Annotations[signing.AnnotationSignature])
	}
	if err == nil {
		f.list = append(f.list, stored)
	}
	return err
}
