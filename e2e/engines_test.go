package e2e

import "testing"

// TestEngines builds a program in a container that starts from the bundle, or takes the toolchain and the modules out of it,
// with docker, buildah and podman. No RUN line has a network.
func TestEngines(t *testing.T) {
	f, s := packContainer(t), startInProcess(t, security{})
	bundle := s.host + "/go/toolchain:v1"
	goferry(t, "copy", "--plain-http", f.ref, bundle)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			build := e.start(t)
			for _, dockerfile := range []string{"from.Dockerfile", "copy.Dockerfile"} {
				t.Run(dockerfile, func(t *testing.T) { build(t, copyTree(t, "testdata/container"), dockerfile, bundle) })
			}
		})
	}
}
