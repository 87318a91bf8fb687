package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"
)

// TestReaders lets everybody else's code read what goferry wrote, and goferry read what they copied.
func TestReaders(t *testing.T) {
	f := packHello(t)
	t.Run("go-containerregistry", func(t *testing.T) { readWithGoContainerRegistry(t, f) })
	t.Run("oras", func(t *testing.T) { readWithOras(t, f) })
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.start(t, security{})
			t.Run("crane", func(t *testing.T) { readWithCrane(t, f, s) })
			t.Run("skopeo", func(t *testing.T) { readWithSkopeo(t, f, s) })
			t.Run("regctl", func(t *testing.T) { readWithRegctl(t, f, s) })
		})
	}
}

func readWithGoContainerRegistry(t *testing.T, f *fixture) {
	root, err := layout.ImageIndexFromPath(f.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(root); err != nil {
		t.Error(err)
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
	command{}.must(t, crane, "validate", "--insecure", "--remote", ref)
	dir := filepath.Join(tempDir(t), "layout")
	command{}.must(t, crane, "pull", "--insecure", "--format", "oci", ref, dir)
	if root, err := layout.ImageIndexFromPath(dir); err != nil {
		t.Error(err)
	} else if err := validate.Index(root); err != nil {
		t.Error(err)
	}
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
