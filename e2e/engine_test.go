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

// An engine builds container images. It keeps what it pulled until the test ends.
type engine struct {
	name   string
	start  func(t *testing.T) builder
	styles []string // of printed Dockerfiles

	platforms bool // it builds for several at once
}

// A builder builds a project by one of its Dockerfiles, from a bundle in a registry. The RUN lines have no network.
type builder func(t *testing.T, dir, dockerfile, bundle string, flags ...string)

var engines = []engine{
	{"docker", startDockerBuilder, []string{"copy"}, false},
	{"buildah", func(t *testing.T) builder { return startBuilder(t, "buildah", "bud") }, []string{"from", "mount"}, true},
	{"podman", func(t *testing.T) builder { return startBuilder(t, "podman", "build") }, []string{"copy"}, false},
}

// startDockerBuilder uses the classic builder, which pulls what FROM names by itself.
func startDockerBuilder(t *testing.T) builder {
	t.Helper()
	needRoot(t)
	need(t, "docker", "apt-get install docker.io")
	need(t, "dockerd", "apt-get install docker.io")
	env := []string{"DOCKER_BUILDKIT=0", "DOCKER_HOST=" + startDocker(t)}
	return func(t *testing.T, dir, dockerfile, bundle string, flags ...string) {
		t.Helper()
		args := slices.Concat([]string{"build", "--network", "none", "--build-arg", "BUNDLE=" + bundle, "-f", dockerfile}, flags, []string{"."})
		command{dir: dir, env: env}.must(t, "docker", args...)
	}
}

// startDocker runs a daemon with the overlay2 driver (vfs would copy the image once a layer) and no bridge, so that nothing
// of the machine's network is touched.
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

// startBuilder is for buildah and podman, which have no daemon. They pull with the network and build without: chroot
// isolation asks nothing of the machine's cgroups, but has no network namespace of its own, so the whole build runs in an
// empty one.
func startBuilder(t *testing.T, program, verb string) builder {
	t.Helper()
	needRoot(t)
	need(t, program, "apt-get install "+program)
	storage := tempDir(t)
	t.Cleanup(func() { exec.Command("umount", "--recursive", filepath.Join(storage, "root", "overlay")).Run() })
	global := []string{"--root", filepath.Join(storage, "root"), "--runroot", filepath.Join(storage, "run"), "--storage-driver", "overlay"}
	return func(t *testing.T, dir, dockerfile, bundle string, flags ...string) {
		t.Helper()
		c := command{dir: dir}
		c.must(t, program, slices.Concat(global, []string{"pull", "--tls-verify=false", bundle})...)
		c.must(t, "unshare", slices.Concat([]string{"-n", program}, global, []string{verb, "--isolation", "chroot", "--network", "host",
			"--pull=never", "--layers=false", "--build-arg", "BUNDLE=" + bundle, "-f", dockerfile}, flags, []string{"."})...)
	}
}
