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
// Without platforms it builds for this one.
type builder func(t *testing.T, dir, dockerfile, bundle, platforms string)

var engines = []engine{
	{"docker", startDockerBuilder, []string{"copy"}, false},
	{"buildah", func(t *testing.T) builder { return startBuilder(t, "buildah", "bud") }, []string{"from", "mount"}, true},
	{"podman", func(t *testing.T) builder { return startBuilder(t, "podman", "build") }, []string{"copy"}, false},
	{"buildkit", startBuildKit, []string{"copy", "mount"}, true},
}

// startDockerBuilder uses the classic builder, which pulls what FROM names by itself.
func startDockerBuilder(t *testing.T) builder {
	t.Helper()
	needRoot(t)
	need(t, "docker", "apt-get install docker.io")
	need(t, "dockerd", "apt-get install docker.io")
	env := []string{"DOCKER_BUILDKIT=0", "DOCKER_HOST=" + startDocker(t)}
	return func(t *testing.T, dir, dockerfile, bundle, _ string) {
		t.Helper()
		command{dir: dir, env: env}.must(t, "docker", "build", "--network", "none", "--build-arg", "BUNDLE="+bundle, "-f", dockerfile, ".")
	}
}

// startDocker runs a daemon with the overlay2 driver (vfs would copy the image once a layer) and no bridge, so that nothing
// of the machine's network is touched.
func startDocker(t *testing.T) (host string) {
	t.Helper()
	dir := tempDir(t)
	host = "unix://" + filepath.Join(dir, "d.sock")
	cmd := exec.Command("dockerd", "--host", host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--storage-driver", "overlay2", "--bridge", "none",
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	c := command{env: []string{"DOCKER_HOST=" + host}}
	serveDaemon(t, cmd, func() bool { return c.run(t, "docker", "version").code == 0 })
	return host
}

// serveDaemon runs a daemon until the test ends. It asks until the daemon answers: it has no other way to tell.
func serveDaemon(t *testing.T, cmd *exec.Cmd, answers func() bool) {
	t.Helper()
	log := filepath.Join(tempDir(t), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Env, cmd.Stdout, cmd.Stderr = environ(), out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	died := make(chan struct{})
	go func() { cmd.Wait(); close(died) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-died
	})
	deadline := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !answers() {
		select {
		case <-tick.C:
			continue
		case <-died:
		case <-deadline:
		}
		text, _ := os.ReadFile(log)
		t.Fatalf("%s did not start:\n%s", cmd.Path, text)
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
	return func(t *testing.T, dir, dockerfile, bundle, platforms string) {
		t.Helper()
		var flags []string
		if platforms != "" {
			flags = []string{"--platform", platforms, "--manifest", "container"}
		}
		c := command{dir: dir}
		c.must(t, program, slices.Concat(global, []string{"pull", "--tls-verify=false", bundle})...)
		c.must(t, "unshare", slices.Concat([]string{"-n", program}, global, []string{verb, "--isolation", "chroot", "--network", "host",
			"--pull=never", "--layers=false", "--build-arg", "BUNDLE=" + bundle, "-f", dockerfile}, flags, []string{"."})...)
	}
}
