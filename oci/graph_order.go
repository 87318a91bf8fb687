package oci

import (
	"strings"

	"github.com/opencontainers/go-digest"
)

// What cosign's signatures say that they are when they refer to what is signed: as it had them before version 3, and as
// sigstore bundles, which attestations are too.
const (
	artifactSignature       = "application/vnd.dev.cosign.artifact.sig.v1+json"
	annotationPredicateType = "dev.sigstore.bundle.predicateType"
	predicateSignature      = "https://sigstore.dev/cosign/sign/v1"
)

// signaturesFirst puts attestations, and whatever else refers to something and is no signature, behind all the rest. A copy
// that is cut leaves no attestation of something whose signature has not come.
func (g *Graph) signaturesFirst() {
	tagged, named, late := map[digest.Digest]string{}, map[digest.Digest]bool{}, map[digest.Digest]bool{}
	for _, t := range g.Tags {
		if !strings.HasSuffix(tagged[t.Descriptor.Digest], cosignSignature) {
			tagged[t.Descriptor.Digest] = t.Tag
		}
	}
	for _, n := range g.Documents {
		if !isIndex(n.Descriptor.MediaType) {
			continue
		}
		if doc, err := parseDocument(n.Descriptor, n.Data); err == nil {
			for _, child := range doc.Manifests {
				named[child.Digest] = true
			}
		}
	}
	var first, last []Node
	for _, n := range g.Documents {
		var r referrer
		if n.referrer {
			r, _ = referrerOf(n.Descriptor, n.Data)
		}
		tag := tagged[n.Descriptor.Digest]
		signature := strings.HasSuffix(tag, cosignSignature) || r.desc.ArtifactType == artifactSignature ||
			r.desc.Annotations[annotationPredicateType] == predicateSignature
		if !named[n.Descriptor.Digest] && (late[r.subject] || !signature && (n.referrer || tag != "")) {
			late[n.Descriptor.Digest] = true
			last = append(last, n)
		} else {
			first = append(first, n)
		}
	}
	g.Documents = append(first, last...)
}
