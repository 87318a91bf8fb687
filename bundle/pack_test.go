package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// The digests pin the format: a change of any byte that Pack writes shows here, and means that
// layers packed before are no longer shared.
const (
	goldenIndex  = "sha256:2dc604ab948d2a6c00fb31d27b643b14334f487005e726b9c071533ccf1d52da"
	goldenModule = "sha256:bc7c487b055222e4638fb656d6d42a6c054690759c7aadb5851a5c5c8c425f88"
)

func TestPackGolden(t *testing.T) {
	s, desc := packTest(t, captured(t), t.TempDir())
	info, err := Inspect(t.Context(), s, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if desc.Digest != goldenIndex {
		t.Errorf("index digest = %s, want %s", desc.Digest, goldenIndex)
	}
	if got := info.Modules[0].Digest; got != goldenModule {
		t.Errorf("digest of the first module's layer = %s, want %s", got, goldenModule)
	}
}

func TestPackSameBytes(t *testing.T) {
	cache := t.TempDir()
	var first Packed
	for i, procs := range []int{2, 1, 2} {
		t.Run("", func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			packed, err := packCaptured(t.Context(), layout(t, t.TempDir()), captured(t), cache)
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = packed
			}
			if packed.Descriptor.Digest != first.Descriptor.Digest {
				t.Errorf("run %d: digest %s, want %s", i, packed.Descriptor.Digest, first.Descriptor.Digest)
			}
		})
	}
}

// A store that must be told the digest first gets the same bundle as one that need not.
func TestPackToStores(t *testing.T) {
	_, want := packTest(t, captured(t), t.TempDir())
	var fetched atomic.Int64
	s := told{layout(t, t.TempDir()), &fetched}
	packed, err := packCaptured(t.Context(), s, captured(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if packed.Descriptor.Digest != want.Digest {
		t.Errorf("digest = %s, want %s", packed.Descriptor.Digest, want.Digest)
	}
	v := verifyTest(t, s)
	fetched.Store(0)
	report, err := v.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if layers := report.Modules + report.Toolchains + 1; fetched.Load() != int64(layers) {
		t.Errorf("Check fetched %d blobs for %d layers", fetched.Load(), layers)
	}
}

// told hides that a layout takes blobs of unknown digest, and that it can read at any place.
type told struct {
	oci.Store
	fetched *atomic.Int64 // may be nil
}

func (s told) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if s.fetched != nil {
		s.fetched.Add(1)
	}
	rc, err := s.Store.Fetch(ctx, desc)
	return struct{ io.ReadCloser }{rc}, err
}

func TestPackRefuses(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, c *gomod.Captured)
		want   string
	}{
		{"go.sum has another sum of the zip", func(_ *testing.T, c *gomod.Captured) {
			c.Projects[0].GoSum = []byte("example.com/Upper/sub v1.2.0 h1:AAAA\n")
		}, "go.sum says h1:AAAA"},
		{"go.sum has another sum of the go.mod file", func(_ *testing.T, c *gomod.Captured) {
			c.Projects[0].GoSum = []byte("example.com/Upper/sub v1.1.0/go.mod h1:BBBB\n")
		}, "go.sum says h1:BBBB"},
		{"zip of another module", func(_ *testing.T, c *gomod.Captured) {
			c.Modules[0].Zip, c.Modules[0].Size = c.Modules[1].Zip, c.Modules[1].Size
		}, "outside of"},
		{"zip that is none", func(t *testing.T, c *gomod.Captured) {
			c.Modules[0].Zip = filepath.Join(t.TempDir(), "z")
			c.Modules[0].Size = 3
			if err := os.WriteFile(c.Modules[0].Zip, []byte("zip"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "not a valid zip"},
		{"zip that grew", func(_ *testing.T, c *gomod.Captured) { c.Modules[0].Size-- }, "changed its size"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := captured(t)
			test.change(t, c)
			s := layout(t, t.TempDir())
			_, err := packCaptured(t.Context(), s, c, "")
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "example.com/Upper/sub@v1.") {
				t.Errorf("pack: %v, want an error with %q that names the module", err, test.want)
			}
			if _, err := s.Resolve(t.Context(), "v1"); !errors.Is(err, oci.ErrNotFound) {
				t.Errorf("the tag is there after a failed pack: %v", err)
			}
		})
	}
}

// A zip that proved wrong is not kept to be found wrong again; unless it is the user's.
func TestPackForgetsBadDownload(t *testing.T) {
	for _, ours := range []bool{true, false} {
		c, cache := captured(t), t.TempDir()
		if ours {
			name := filepath.Join(cache, "m.zip")
			if err := os.Rename(c.Modules[0].Zip, name); err != nil {
				t.Fatal(err)
			}
			c.Modules[0].Zip = name
		}
		c.Projects[0].GoSum = []byte("example.com/Upper/sub v1.2.0 h1:AAAA\n")
		if _, err := packCaptured(t.Context(), layout(t, t.TempDir()), c, cache); !errors.Is(err, ErrMismatch) {
			t.Errorf("pack: %v, want ErrMismatch", err)
		}
		if _, err := os.Stat(c.Modules[0].Zip); errors.Is(err, os.ErrNotExist) != ours {
			t.Errorf("in our cache: %v, after the pack: %v", ours, err)
		}
	}
}

func TestPackShape(t *testing.T) {
	s, desc := packTest(t, captured(t), t.TempDir())
	var index ocispec.Index
	data, err := oci.FetchDocument(t.Context(), s, desc, &index)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("artifactType")) {
		t.Error("the index has an artifactType, which Harbor shows as UNKNOWN")
	}
	for _, m := range index.Manifests {
		var manifest ocispec.Manifest
		if _, err := oci.FetchDocument(t.Context(), s, m, &manifest); err != nil {
			t.Fatal(err)
		}
		var image ocispec.Image
		if _, err := oci.FetchDocument(t.Context(), s, manifest.Config, &image); err != nil {
			t.Fatal(err)
		}
		if image.OS != m.Platform.OS || image.Architecture != m.Platform.Architecture {
			t.Errorf("config is for %s/%s, index says %v", image.OS, image.Architecture, m.Platform)
		}
		if len(image.History) != len(manifest.Layers) || !strings.HasPrefix(image.History[1].CreatedBy, "goferry: example.com/Upper/sub@v1.2.0") {
			t.Errorf("history = %v", image.History)
		}
		if !slices.Contains(image.Config.Env, "GOPROXY=file:///go/pkg/mod/cache/download") {
			t.Errorf("env = %v", image.Config.Env)
		}
		if index.Annotations[AnnotationToolchain] != "go1.26.8" || manifest.Annotations[AnnotationToolchain] != "go1.26.8" || image.Config.Labels[AnnotationToolchain] != "go1.26.8" {
			t.Error("index, manifest and config do not say the same of the toolchain")
		}
	}
}

func TestPackManyLayersIsArtifact(t *testing.T) {
	c := captured(t)
	dir := t.TempDir()
	for i := range MaxImageLayers {
		c.Modules = append(c.Modules, testModule(t, dir, "example.com/m"+string(rune('a'+i/26))+string(rune('a'+i%26)), "v1.0.0"))
	}
	s := layout(t, t.TempDir())
	packed, err := packCaptured(t.Context(), s, c, "")
	if err != nil {
		t.Fatal(err)
	}
	v := verifyTest(t, s)
	if packed.Runnable || v.Platforms[0].Runnable() {
		t.Errorf("%d layers are a runnable image", packed.Layers)
	}
	if _, err := v.Check(t.Context()); err != nil {
		t.Error(err)
	}
	rc, err := s.Fetch(t.Context(), v.Platforms[0].Manifest)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	var m struct{ ArtifactType string }
	if err := json.NewDecoder(rc).Decode(&m); err != nil || m.ArtifactType != MediaTypeConfig {
		t.Errorf("artifactType = %q, %v", m.ArtifactType, err)
	}
}
