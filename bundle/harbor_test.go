package bundle

import (
	"maps"
	"regexp"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// Harbor shows an index without an artifactType as an image with its platforms, and what has a config of another type by
// the name in that type. A page about either has what the index, the manifest or the config says, so all say the same.
func TestPackForHarbor(t *testing.T) {
	userDefined := regexp.MustCompile(`^application/vnd\.[^.]*\.(.*)\.config\.[^.]*\+json$`) // Harbor's
	if m := userDefined.FindStringSubmatch(MediaTypeConfig); len(m) != 2 || m[1] != "bundle" {
		t.Errorf("Harbor takes %s for %q, want the type BUNDLE", MediaTypeConfig, m)
	}
	for name, test := range map[string]struct {
		modules              int
		config, artifactType string
	}{
		"image":    {modules: 2, config: ocispec.MediaTypeImageConfig},
		"artifact": {modules: MaxImageLayers, config: MediaTypeConfig, artifactType: MediaTypeConfig},
	} {
		t.Run(name, func(t *testing.T) {
			s := layout(t, t.TempDir())
			c := capturedMany(t, test.modules)
			p := newPacker(s, c, toolchainPlatforms(c), "")
			p.opts.Created = time.Unix(1_800_000_000, 0)
			if err := p.begin(); err != nil {
				t.Fatal(err)
			}
			packed, err := p.write(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var index ocispec.Index
			if _, err := oci.FetchDocument(t.Context(), s, packed.Descriptor, &index); err != nil {
				t.Fatal(err)
			}
			if index.MediaType != ocispec.MediaTypeImageIndex || index.ArtifactType != "" {
				t.Errorf("the index is a %q with the artifactType %q", index.MediaType, index.ArtifactType)
			}
			m := index.Manifests[0]
			if m.Platform == nil || m.ArtifactType != "" {
				t.Errorf("the index names %+v", m)
			}
			var manifest ocispec.Manifest
			if _, err := oci.FetchDocument(t.Context(), s, m, &manifest); err != nil {
				t.Fatal(err)
			}
			if manifest.Config.MediaType != test.config || manifest.ArtifactType != test.artifactType {
				t.Errorf("the manifest has a config %q and the artifactType %q", manifest.Config.MediaType, manifest.ArtifactType)
			}
			sayTheSame(t, s, index, manifest)
		})
	}
}

// sayTheSame holds that the annotations of both are alike, and the labels of the config but for the time, which has a
// field of its own there.
func sayTheSame(t *testing.T, s oci.Store, index ocispec.Index, manifest ocispec.Manifest) {
	t.Helper()
	if !maps.Equal(index.Annotations, manifest.Annotations) || index.Annotations[ocispec.AnnotationTitle] == "" || index.Annotations[ocispec.AnnotationCreated] == "" {
		t.Errorf("the index says %v\nthe manifest %v", index.Annotations, manifest.Annotations)
	}
	var labels map[string]string
	if manifest.Config.MediaType == MediaTypeConfig {
		var config bundleConfig
		if _, err := oci.FetchDocument(t.Context(), s, manifest.Config, &config); err != nil {
			t.Fatal(err)
		}
		labels = config.Labels
	} else {
		var image ocispec.Image
		if _, err := oci.FetchDocument(t.Context(), s, manifest.Config, &image); err != nil {
			t.Fatal(err)
		}
		labels = image.Config.Labels
	}
	labels[ocispec.AnnotationCreated] = index.Annotations[ocispec.AnnotationCreated]
	if !maps.Equal(labels, index.Annotations) {
		t.Errorf("the index says %v\nthe config %v", index.Annotations, labels)
	}
}
