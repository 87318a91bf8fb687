package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// An engine builds container images. build runs in a project with the name of a Dockerfile and the bundle to start from,
// and the RUN lines of the Dockerfile have no network.
type engine struct {
	name  string
	build func(t *testing.T, dir, dockerfile, bundle string)
}

var engines = []engine{
	{"docker", dockerBuild},
	{"buildah", buildahBuild},
	{"podman", podmanBuild},
}

// dockerBuild uses a daemon of its own with the overlay2 driver (vfs would copy the image once a layer) and no bridge, so
// that nothing of the machine's network is touched. The classic builder pulls what FROM names by itself.
func dockerBuild(t *testing.T, dir, dockerfile, bundle string) {
	t.Helper()
	needRoot(t)
	need(t, "docker", "apt-get install docker.io")
	need(t, "dockerd", "apt-get install docker.io")
	c := command{dir: dir, env: []string{"DOCKER_BUILDKIT=0", "DOCKER_HOST=" + startDocker(t)}}
	c.must(t, "docker", "build", "--network", "none", "--build-arg", "BUNDLE="+bundle, "-f", dockerfile, ".")
}

func startDocker(t *testing.T) (host string) {
	t.Helper()
	dir := tempDir(t)
	host = "unix://" + filepath.Join(dir, "d.sock")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("dockerd", "--host", host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--storage-driver", "overlay2", "--bridge", "none",
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.Env = environ()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-done
	})
	waitForDocker(t, host, done, log.Name())
	return host
}

// waitForDocker asks until the daemon answers: it has no other way to tell.
func waitForDocker(t *testing.T, host string, died <-chan struct{}, log string) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	c := command{env: []string{"DOCKER_HOST=" + host}}
	for c.run(t, "docker", "version").code != 0 {
		select {
		case <-tick.C:
			continue
		case <-died:
		case <-deadline:
		}
		text, _ := os.ReadFile(log)
		t.Fatalf("dockerd did not start:\n%s", text)
	}
}

// storage keeps an engine's images in a directory of the test.
func storage(t *testing.T) []string {
	t.Helper()
	dir := tempDir(t)
	t.Cleanup(func() { exec.Command("umount", filepath.Join(dir, "root", "overlay")).Run() })
	return []string{"--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "overlay"}
}

func buildahBuild(t *testing.T, dir, dockerfile, bundle string) {
	t.Helper()
	needRoot(t)
	need(t, "buildah", "apt-get install buildah")
	build(t, append([]string{"buildah"}, storage(t)...), "bud", dir, dockerfile, bundle)
}

func podmanBuild(t *testing.T, dir, dockerfile, bundle string) {
	t.Helper()
	needRoot(t)
	need(t, "podman", "apt-get install podman")
	build(t, append([]string{"podman"}, storage(t)...), "build", dir, dockerfile, bundle)
}

// build pulls with the network and builds without. Chroot isolation asks nothing of the machine's cgroups, but has no
// network namespace of its own: the whole build runs in an empty one instead.
func build(t *testing.T, engine []string, verb, dir, dockerfile, bundle string) {
	t.Helper()
	c := command{dir: dir}
	c.must(t, engine[0], slices.Concat(engine[1:], []string{"pull", "--tls-verify=false", bundle})...)
	c.must(t, "unshare", slices.Concat([]string{"-n"}, engine, []string{verb, "--isolation", "chroot", "--network", "host",
		"--pull=never", "--layers=false", "--build-arg", "BUNDLE=" + bundle, "-f", dockerfile, "."})...)
}
