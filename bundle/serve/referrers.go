package serve

import (
	"encoding/json"
	"net/http"
	"slices"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// listReferrers answers for /v2/<repository>/referrers/<digest>. There is one page: what refers to a bundle was read when
// it was proven, and is bounded by that.
func (g *registry) listReferrers(w http.ResponseWriter, r *http.Request, name string, subject digest.Digest) {
	repository, err := g.repository(name)
	if err != nil {
		ociregistry.WriteError(w, err)
		return
	}
	found := slices.Clone(repository.referrers[subject])
	if artifactType := r.URL.Query().Get("artifactType"); artifactType != "" {
		found = slices.DeleteFunc(found, func(d ocispec.Descriptor) bool { return d.ArtifactType != artifactType })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if found == nil {
		found = []ocispec.Descriptor{}
	}
	data, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: found,
	})
	if err != nil {
		ociregistry.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	w.Write(data)
}
