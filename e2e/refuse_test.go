package e2e

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// TestAccess goes through the doors of each registry: with the right password, with none, with a wrong one, and in.
func TestAccess(t *testing.T) {
	f := packModules(t)
	for _, kind := range registries {
		t.Run(kind.name, func(t *testing.T) {
			s := kind.start(t, security{tls: true, password: true})
			ref := s.host + "/app:v1"
			c := command{env: []string{"DOCKER_CONFIG=" + tempDir(t)}}
			run := func(stdin string, args ...string) result {
				c.stdin = stdin
				return c.run(t, binary, append(args, s.flags()...)...)
			}
			run("", "copy", f.ref, ref).want(t, 4)
			run("wrong", "copy", "--username", s.user, "--password-stdin", f.ref, ref).want(t, 4).says(t, "goferry: error: ")
			run("wrong", "login", "--username", s.user, "--password-stdin", s.host).want(t, 4)
			run(s.password, "copy", "--username", s.user, "--password-stdin", f.ref, ref).want(t, 0)
			run("", "verify", ref).want(t, 4)
			run(s.password, "login", "--username", s.user, "--password-stdin", s.host).want(t, 0)
			run("", "verify", ref).want(t, 0)
			c.must(t, binary, "logout", s.host)
			run("", "verify", ref).want(t, 4)
		})
	}
}

// TestRefused holds what a person reads, and a script gets, when a store is not as it should be.
func TestRefused(t *testing.T) {
	f, plain, secure := packModules(t), startInProcess(t, security{}), startInProcess(t, security{tls: true})
	goferry(t, "copy", "--plain-http", f.ref, plain.host+"/app:v1")
	empty := tempDir(t)
	file := filepath.Join(empty, "file")
	write(t, file, "not a directory")
	nothing := closedPort(t)
	for _, test := range []struct {
		name string
		code int
		says []string
		args []string
	}{
		{"tag of a registry", 1, []string{"nosuch", "v1"}, []string{"verify", "--plain-http", plain.host + "/app:nosuch"}},
		{"tag of a layout", 1, []string{"nosuch", "v1"}, []string{"verify", "oci:" + f.dir + ":nosuch"}},
		{"no layout there", 1, []string{empty}, []string{"verify", "oci:" + empty + ":v1"}},
		{"nobody listens", 5, []string{nothing}, []string{"verify", nothing + "/app:v1"}},
		{"plain HTTP not asked for", 5, []string{"--plain-http"}, []string{"verify", plain.host + "/app:v1"}},
		{"unknown authority", 5, []string{"certificate"}, []string{"copy", f.ref, secure.host + "/app:v1"}},
		{"target is a file", 1, []string{file}, []string{"copy", f.ref, "oci:" + file + ":v1"}},
		{"no project", 1, []string{"go.mod"}, []string{"pack", "-C", empty, "-o", layoutRef(t)}},
		{"no such module", 1, []string{"example.com/nosuch"}, []string{"pack", "--module", "example.com/nosuch@v1.0.0", "--toolchain", "none", "-o", layoutRef(t)}},
		{"no such toolchain", 1, []string{"go1.26.999"}, []string{"pack", "--toolchain", "go1.26.999", "-o", layoutRef(t)}},
		{"no such platform", 2, []string{"plan9"}, []string{"pack", "--toolchain", goVersion, "--platform", "plan9", "-o", layoutRef(t)}},
		{"no target", 2, []string{"-o"}, []string{"pack"}},
		{"no such command", 2, []string{"pakc"}, []string{"pakc"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := refused(t, test.code, test.args...).says(t, test.says...).says(t, "goferry: error: ")
			if r.stdout != "" {
				t.Errorf("stdout of a failed command: %q", r.stdout)
			}
		})
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) != 1 {
		t.Errorf("refused commands left something behind: %v, %v", left, err)
	}
}

// TestForgedSum holds that a go.sum that does not fit ends the pack, and that nothing is written.
func TestForgedSum(t *testing.T) {
	project, ref := copyTree(t, "testdata/container"), layoutRef(t)
	write(t, filepath.Join(project, "go.sum"), `github.com/BurntSushi/toml v1.6.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
github.com/BurntSushi/toml v1.6.0/go.mod h1:ukJfTF/6rtPPRCnwkur4qwRxa8vTRFBF0uk2lLoLwho=
`)
	packTo(t, command{}, project, ref).want(t, 3).says(t, "github.com/BurntSushi/toml@v1.6.0")
	refused(t, 1, "verify", ref)
}

// closedPort is an address where nobody listens any more.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
