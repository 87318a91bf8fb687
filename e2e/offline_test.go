package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A site is a machine on the isolated side: what was unpacked, and the home of a user who has nothing else.
type site struct {
	dir  string // where "goferry unpack" put things
	home string
}

func unpack(t *testing.T, ref string, flags ...string) site {
	t.Helper()
	return unpackAll(t, append(slices.Clone(flags), ref)...)
}

// unpackAll is unpack with any arguments before the directory.
func unpackAll(t *testing.T, args ...string) site {
	t.Helper()
	dir := tempDir(t)
	s := site{filepath.Join(dir, "site"), filepath.Join(dir, "home")}
	if err := os.Mkdir(s.home, 0o777); err != nil {
		t.Fatal(err)
	}
	goferry(t, slices.Concat([]string{"unpack", anybody}, args, []string{s.dir})...)
	return s
}

// run runs a line of shell in dir with the unpacked environment, no network, and nothing of our own environment.
// The PATH has no Go but the one that was carried.
func (s site) run(t *testing.T, dir, line string) result {
	t.Helper()
	return s.runAs(t, nil, dir, line)
}

func (s site) runAs(t *testing.T, as []string, dir, line string) result {
	t.Helper()
	return s.shell(t, as, dir, `. "$0/current/env" && `+line)
}

// shell is runAs without the unpacked environment: $0 is where things were unpacked.
func (s site) shell(t *testing.T, as []string, dir, line string) result {
	t.Helper()
	need(t, "unshare", "apt-get install util-linux")
	args := []string{"-n"}
	if os.Geteuid() != 0 {
		args = []string{"-rn"}
	}
	args = append(append(args, as...), "sh", "-c", line, s.dir)
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + s.home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOFLAGS=-modcacherw"}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run() // the exit code tells
	return result{[]string{"offline", line}, stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func (s site) must(t *testing.T, dir, line string) string {
	t.Helper()
	return s.run(t, dir, line).want(t, 0).text()
}

// everyCommand is what a developer does all day; --scope dev promises each of them with no network.
var everyCommand = []string{
	"go build ./...",
	"go vet ./...",
	"go test ./...",
	"go mod tidy",
	"go mod verify",
	"go mod graph",
	"go list -m all",
	"go list -deps -test ./...",
	"go mod download",
	"go mod vendor",
	"go build ./...", // now from vendor
}

// develop runs lines in a project and holds that its go.mod and go.sum stay as they were.
func (s site) develop(t *testing.T, dir string, lines []string) {
	t.Helper()
	before := moduleFiles(t, dir)
	for _, line := range lines {
		if r := s.run(t, dir, line); r.code != 0 {
			t.Errorf("offline %q: exit code %d\n%s%s", line, r.code, r.stdout, r.stderr)
		}
	}
	if after := moduleFiles(t, dir); after != before {
		t.Errorf("the module files changed offline:\n--- before\n%s\n--- after\n%s", before, after)
	}
}

// moduleFiles returns everything that says which modules a project needs.
func moduleFiles(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, name := range []string{"go.mod", "go.sum", "go.work", "go.work.sum"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}
