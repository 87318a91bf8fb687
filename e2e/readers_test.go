package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

// TestReaders lets everybody else's code read what goferry wrote, and goferry read what they copied.
func TestReaders(t *testing.T) {
	f := packHello(t)
	t.Run("layout/go-containerregistry", func(t *testing.T) { validateLayout(t, f.dir) })
	t.Run("layout/oras", func(t *testing.T) { readWithOras(t, f) })
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.start(t, security{})
			t.Run("crane", func(t *testing.T) { readWithCrane(t, f, s) })
			t.Run("skopeo", func(t *testing.T) { readWithSkopeo(t, f, s) })
			t.Run("regctl", func(t *testing.T) { readWithRegctl(t, f, s) })
		})
	}
}

// validateLayout holds structure, digests and sizes with go-containerregistry's validate. Its check of layers can only read
// gzip, and module layers are not compressed: the layers are read here, through the reader that its other commands use.
func validateLayout(t *testing.T, dir string) {
	t.Helper()
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(root, validate.Fast); err != nil {
		t.Error(err)
	}
	images, err := partial.FindImages(root, func(v1.Descriptor) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := partial.FindIndexes(root, func(v1.Descriptor) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range indexes {
		children, err := partial.FindImages(index, func(v1.Descriptor) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, children...)
	}
	if len(images) == 0 {
		t.Fatal("the layout has no image")
	}
	for _, image := range images {
		validateLayers(t, image)
	}
}

func validateLayers(t *testing.T, image v1.Image) {
	t.Helper()
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		want, err := layer.DiffID()
		if err != nil {
			t.Fatal(err)
		}
		r, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := v1.SHA256(r)
		r.Close()
		if err != nil || got != want {
			t.Errorf("a layer's content is %v, %v; the config says %v", got, err, want)
		}
	}
}

// readWithOras copies everything that the tag names with oras-go's own layout code, which holds size and digest.
func readWithOras(t *testing.T, f *fixture) {
	src, err := oci.NewFromFS(t.Context(), os.DirFS(f.dir))
	if err != nil {
		t.Fatal(err)
	}
	dst, err := oci.New(tempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	root, err := oras.Copy(t.Context(), src, "v1", dst, "v1", oras.DefaultCopyOptions)
	if err != nil {
		t.Fatal(err)
	}
	if root.Digest.String() != f.digest {
		t.Errorf("oras.Copy(v1) = %s, want %s", root.Digest, f.digest)
	}
}

func readWithCrane(t *testing.T, f *fixture, s server) {
	crane, ref := tool(t, "crane"), s.host+"/crane:v1"
	goferry(t, "copy", "--plain-http", f.ref, ref)
	command{}.must(t, crane, "validate", "--insecure", "--fast", "--remote", ref)
	dir := filepath.Join(tempDir(t), "layout")
	command{}.must(t, crane, "pull", "--insecure", "--format", "oci", ref, dir)
	validateLayout(t, dir)
}

// readWithSkopeo takes every platform to the registry and back. --preserve-digests fails where skopeo would have to change a
// byte, and without it would compress our module layers.
func readWithSkopeo(t *testing.T, f *fixture, s server) {
	need(t, "skopeo", "apt-get install skopeo")
	ref := s.host + "/skopeo:v1"
	command{}.must(t, "skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f.ref, "docker://"+ref)
	goferry(t, "verify", "--plain-http", ref)
	raw := command{}.run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+ref).want(t, 0)
	var index ocispec.Index
	if err := json.Unmarshal([]byte(raw.stdout), &index); err != nil {
		t.Fatal(err)
	}
	for _, m := range index.Manifests {
		command{}.must(t, "skopeo", "--override-os", m.Platform.OS, "--override-arch", m.Platform.Architecture,
			"inspect", "--tls-verify=false", "docker://"+ref)
	}
	back := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	command{}.must(t, "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+ref, back)
	goferry(t, "verify", back)
}

func readWithRegctl(t *testing.T, f *fixture, s server) {
	regctl, ref := tool(t, "regctl"), s.host+"/regctl:v1"
	c := command{env: []string{"REGCTL_CONFIG=" + filepath.Join(tempDir(t), "regctl.json")}}
	c.must(t, regctl, "registry", "set", "--tls", "disabled", s.host)
	c.must(t, regctl, "image", "copy", "ocidir://"+f.dir+":v1", ref)
	if got := c.must(t, regctl, "image", "digest", ref); got != f.digest {
		t.Errorf("regctl image digest = %s, want %s", got, f.digest)
	}
	goferry(t, "verify", "--plain-http", ref)
}
