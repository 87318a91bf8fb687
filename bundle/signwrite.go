package bundle

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// Annotations of the manifest of a sigstore bundle, as cosign writes them.
const (
	annotationContent       = "dev.sigstore.bundle.content"
	annotationPredicateType = "dev.sigstore.bundle.predicateType"
)

// write signs t in the forms that were planned.
func (r *signRun) write(ctx context.Context, t *signee) error {
	if t.sig {
		if err := r.writePayload(ctx, t); err != nil {
			return err
		}
		r.added++
	}
	if t.bundle {
		if err := r.writeBundle(ctx, t); err != nil {
			return err
		}
		r.added++
	}
	return nil
}

// writePayload adds a layer to the manifest with the tag .sig.
func (r *signRun) writePayload(ctx context.Context, t *signee) error {
	data, sig, err := r.signer.SignPayload(t.says)
	if err != nil {
		return err
	}
	m := t.stored.sig
	if m == nil {
		m = &ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	}
	if len(m.Layers) >= maxSignatures {
		return fmt.Errorf("it has %d signatures, more are not read", len(m.Layers))
	}
	payload := raw(signing.MediaTypePayload, data)
	layer := payload.desc
	layer.Annotations = map[string]string{signing.AnnotationSignature: sig}
	m.Layers = append(m.Layers, layer)
	config, err := signatureConfig(m.Layers)
	if err != nil {
		return err
	}
	m.Config = config.desc
	manifest, err := encodeDocument(m.MediaType, m)
	if err != nil {
		return err
	}
	if err := pushDocuments(ctx, r.store, payload, config, manifest); err != nil {
		return err
	}
	return r.store.Tag(ctx, manifest.desc, oci.SignatureTag(t.desc.Digest))
}

// signatureConfig is what cosign gives to such a manifest. Nobody reads it, but registries want an image to have one.
func signatureConfig(layers []ocispec.Descriptor) (document, error) {
	var image ocispec.Image
	created := time.Time{}
	image.Created = &created
	image.RootFS.Type = "layers"
	for _, l := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.Digest)
		image.History = append(image.History, ocispec.History{Created: &created})
	}
	return encodeDocument(ocispec.MediaTypeImageConfig, image)
}

// writeBundle adds a referrer.
func (r *signRun) writeBundle(ctx context.Context, t *signee) error {
	data, err := r.signer.SignBundle(t.says)
	if err != nil {
		return err
	}
	return attach(ctx, r.store, t.desc, data, signing.PredicateType, r.opts.Time)
}

// attach makes a sigstore bundle, of the type, refer to a subject.
func attach(ctx context.Context, s oci.Store, subject ocispec.Descriptor, data []byte, predicateType string, created time.Time) error {
	sigstoreBundle, config := raw(signing.MediaTypeBundle, data), raw(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	manifest, err := encodeDocument(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: signing.MediaTypeBundle,
		Config:       config.desc,
		Layers:       []ocispec.Descriptor{sigstoreBundle.desc},
		Subject:      &subject,
		Annotations: map[string]string{
			annotationContent:         "dsse-envelope",
			annotationPredicateType:   predicateType,
			ocispec.AnnotationCreated: created.UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		return err
	}
	if err := pushDocuments(ctx, s, sigstoreBundle, config, manifest); err != nil {
		return err
	}
	manifest.desc.ArtifactType = signing.MediaTypeBundle // oras looks for it in a layout
	return s.Tag(ctx, manifest.desc, manifest.desc.Digest.String())
}

// raw is a document that is written as it is.
func raw(mediaType string, data []byte) document {
	return document{ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, data}
}

// pushDocuments pushes blobs that are not there, and a manifest, which a registry has to see to list it as a referrer.
func pushDocuments(ctx context.Context, s oci.Store, documents ...document) error {
	for _, d := range documents {
		if d.desc.MediaType != ocispec.MediaTypeImageManifest {
			if there, err := s.Exists(ctx, d.desc); err != nil || there {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := s.Push(ctx, d.desc, bytes.NewReader(d.data)); err != nil {
			return err
		}
	}
	return nil
}
