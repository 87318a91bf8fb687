package e2e

import (
	"path/filepath"
	"regexp"
	"testing"
)

// TestEngines builds a program in a container that starts from the bundle, or takes the toolchain and the modules out of it,
// with docker, buildah, podman and BuildKit. No RUN line has a network. Modules of the bundle share layers.
func TestEngines(t *testing.T) {
	f, s := packShared(t), startInProcess(t, security{})
	bundle := s.host + "/go/app:v1"
	goferry(t, "copy", "--plain-http", f.ref, bundle)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			build := e.start(t)
			for _, dockerfile := range []string{"from.Dockerfile", "copy.Dockerfile"} {
				t.Run(dockerfile, func(t *testing.T) { build(t, copyTree(t, "testdata/container"), dockerfile, bundle, "") })
			}
			if e.platforms {
				t.Run("platforms.Dockerfile", func(t *testing.T) {
					build(t, copyTree(t, "testdata/container"), "platforms.Dockerfile", bundle, "linux/amd64,linux/arm64")
				})
			}
			for _, style := range e.styles {
				t.Run("printed "+style, func(t *testing.T) {
					dir := copyTree(t, "testdata/container")
					printed := goferry(t, "dockerfile", "--plain-http", "--style", style, "--base", "bundle", bundle) // with a /tmp
					write(t, filepath.Join(dir, "Dockerfile"), printed)
					build(t, dir, "Dockerfile", pinned.FindString(printed), "")
				})
			}
		})
	}
}

// pinned is a bundle in a registry, by its digest.
var pinned = regexp.MustCompile(`127\.0\.0\.1:\d+/\S+@sha256:[0-9a-f]{64}`)
