package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// anybody is for what does not ask who made a bundle: most bundles of these tests are not signed.
const anybody = "--insecure-ignore-signature"

// A command is one run of a program with an environment of ours.
type command struct {
	dir   string
	env   []string // added to environ()
	stdin string
}

// A result is what a finished command left behind.
type result struct {
	args           []string
	stdout, stderr string
	code           int
}

// environ is the environment of every command but the offline ones: the user's settings of the go command, and a home,
// a cache and credentials of our own.
func environ(extra ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(tempRoot, "home"),
		"XDG_CACHE_HOME=" + filepath.Join(tempRoot, "cache"),
		"DOCKER_CONFIG=" + filepath.Join(tempRoot, "docker"),
	}
	for _, name := range []string{"GOCACHE", "GOENV", "GOPATH", "GOMODCACHE", "GOPROXY", "GOSUMDB"} {
		env = append(env, name+"="+goEnv[name])
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, extra...)
}

func (c command) start(t *testing.T, name string, args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = c.dir, environ(c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &stdout, &stderr
}

// run waits for the command and returns what it left, whatever its exit code.
func (c command) run(t *testing.T, name string, args ...string) result {
	t.Helper()
	cmd, stdout, stderr := c.start(t, name, args...)
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return result{append([]string{filepath.Base(name)}, args...), stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs a command that has to succeed and returns its stdout without the last newline.
func (c command) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	return c.run(t, name, args...).want(t, 0).text()
}

// goferry runs a command that has to succeed and returns its stdout without the last newline.
func goferry(t *testing.T, args ...string) string {
	t.Helper()
	return command{}.must(t, binary, args...)
}

// refused runs a command that has to end with code and returns its result.
func refused(t *testing.T, code int, args ...string) result {
	t.Helper()
	return command{}.run(t, binary, args...).want(t, code)
}

func (r result) text() string { return strings.TrimSuffix(r.stdout, "\n") }

func (r result) want(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("%s: exit code %d, want %d\nstdout: %s\nstderr: %s", strings.Join(r.args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// says holds that stderr has each of the words.
func (r result) says(t *testing.T, words ...string) result {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("%s: stderr does not have %q:\n%s", strings.Join(r.args, " "), w, r.stderr)
		}
	}
	return r
}

// need skips the test, or fails it in CI, if a program is missing.
func need(t *testing.T, program, how string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, "this test needs "+program+": "+how)
	}
}

// needRoot is need for the right to mount and to run containers.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "this test needs root: sudo -E go test ./...")
	}
}

func missing(t *testing.T, message string) {
	t.Helper()
	if os.Getenv("GOFERRY_E2E_REQUIRE") != "" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// tool returns the path of a program that go.mod pins; the go command builds it once and keeps it in its build cache.
func tool(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "go", "tool", "-n", name).Output()
	if err != nil {
		t.Fatalf("go tool -n %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}
