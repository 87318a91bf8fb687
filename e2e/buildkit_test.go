package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const buildkitVersion = "v0.27.1"

// buildkit is where a program of BuildKit's was built. Its modules are not in go.mod, as there are hundreds.
func buildkit(t *testing.T, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(cache, "goferry-e2e", "buildkit-"+buildkitVersion, name)
	if _, err := os.Stat(program); err != nil {
		missing(t, "this test needs BuildKit "+buildkitVersion+": .ci/run builds it")
	}
	return program
}

// startBuildKit runs a daemon that builds what docker and buildx give it elsewhere. It pulls what FROM names by itself.
func startBuildKit(t *testing.T) builder {
	t.Helper()
	needRoot(t)
	need(t, "runc", "apt-get install runc")
	dir, buildctl := tempDir(t), buildkit(t, "buildctl")
	address := "unix://" + filepath.Join(dir, "socket")
	daemon := exec.Command(buildkit(t, "buildkitd"), "--addr", address, "--root", filepath.Join(dir, "root"),
		"--config", os.DevNull, "--containerd-worker=false", "--oci-worker=true", "--oci-worker-net", "host")
	serveDaemon(t, daemon, func() bool {
		return command{}.run(t, buildctl, "--addr", address, "debug", "workers").code == 0
	})
	return func(t *testing.T, dir, dockerfile, bundle, platforms string) {
		t.Helper()
		args := []string{"--addr", address, "build", "--frontend", "dockerfile.v0", "--local", "context=.", "--local", "dockerfile=.",
			"--opt", "filename=" + dockerfile, "--opt", "build-arg:BUNDLE=" + bundle, "--opt", "force-network-mode=none"}
		if platforms != "" {
			args = append(args, "--opt", "platform="+platforms)
		}
		command{dir: dir}.must(t, buildctl, args...)
	}
}
