package main

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/serve"
	"github.com/goferry/goferry/oci"
)

// notPacked are the modules of the corpus that pack refuses, and what it says.
var notPacked = map[string]string{
	"example.com/badchain/a@v1.1.0":         "module declares its path as: badchain.example.com/c but was required as: example.com/badchain/c",
	"example.com/badchain/b@v1.1.0":         "module declares its path as: badchain.example.com/c but was required as: example.com/badchain/c",
	"example.com/downgrade@v2.0.0":          "invalid version: should be v0 or v1, not v2",
	"example.com/importcrypto@v1.0.0":       "requires go >= 1.27",
	"example.com/retract/missingmod@v1.9.0": "v1.9.0.mod: 404 Not Found",
	"rsc.io/badfile2@v1.0.0":                `malformed file path "☺.go": invalid char '☺'`,
	"rsc.io/badfile3@v1.0.0":                `malformed file path "x?y.go": invalid char '?'`,
	"rsc.io/badfile4@v1.0.0":                `case-insensitive file name collision: "x/Y.go" and "x/y.go"`,
	"rsc.io/badfile5@v1.0.0":                `case-insensitive file name collision: "x/y" and "x/Y"`,
	"rsc.io/badzip@v1.0.0":                  "unexpected file rsc.io/badzip@v1.0.0.txt",
	"rsc.io/future@v1.0.0":                  "requires go >= 1.999",
}

// queries are the versions of the corpus that the proxy answers for with another one.
var queries = map[string]string{
	"rsc.io/breaker@v2.0.0": "rsc.io/breaker@v2.0.0+incompatible",
	"rsc.io/quote@v2.0.0":   "rsc.io/quote@v0.0.0-20180709153244-fd906ed3b100",
}

// TestCorpus holds that each module of the go command's own tests is refused with a reason, or
// answered for as its proxy did: by the tree that unpack makes and by serve, to us and to the go
// command. (Of .info the answer is the version and the time: what else is in it is not carried.)
func TestCorpus(t *testing.T) {
	t.Parallel()
	c := serveCorpus(t)
	t.Run("refused", c.refused)
	t.Run("toolchains", c.compareToolchains)
	t.Run("queries", c.queries)

	args := []string{"pack", "--quiet", "--toolchain", "none", "--sign-key", "release.key", "-o", "oci:bundle:v1"}
	var carried []module.Version
	for _, m := range c.modules {
		if isToolchain(m) || notPacked[m.String()] != "" {
			continue
		}
		args = append(args, "--module", m.String())
		if queries[m.String()] == "" {
			carried = append(carried, m)
		}
	}
	dir := t.TempDir()
	c.must(t, dir, "keygen", "--out", "release")
	c.must(t, dir, args...)
	c.must(t, dir, "unpack", "--quiet", "--key", "release.pub", "oci:bundle:v1", "site")
	tree := filepath.Join(dir, "site", "current", "mod", "cache", "download")
	server := serveLayout(t, filepath.Join(dir, "bundle"))

	t.Run("unpacked", func(t *testing.T) {
		c.compare(t, carried, func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(tree, filepath.FromSlash(name))) })
		c.compareFiles(t, tree)
	})
	t.Run("served", func(t *testing.T) {
		c.compare(t, carried, func(name string) ([]byte, error) { return get(server + "/" + name) })
	})
	t.Run("go command", func(t *testing.T) { c.compareGo(t, carried, fileURL(tree), server) })
}

func (c *corpus) refused(t *testing.T) {
	for name, reason := range notPacked {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.refuses(t, name, reason, "--toolchain", "none", "--module", name)
		})
	}
	const noPath = "example.com/invalidpath/v1@v1.0.0" // which the proxy cannot have
	c.refuses(t, noPath, "malformed module path", "--toolchain", "none", "--module", noPath)
}

// queries holds that pack carries the version that the proxy answers with.
func (c *corpus) queries(t *testing.T) {
	for name, want := range queries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.must(t, dir, "pack", "--quiet", "--toolchain", "none", "--module", name, "-o", "oci:bundle")
			stdout, _, _ := c.goferry(t, dir, "inspect", "--format", "json", "oci:bundle")
			if !strings.Contains(stdout, `"`+want+`"`) || strings.Contains(stdout, `"`+name+`"`) {
				t.Errorf("%s is packed as %s; want %s", name, stdout, want)
			}
		})
	}
}

// refuses holds that pack fails, and says of what and why.
func (c *corpus) refuses(t *testing.T, name, reason string, args ...string) {
	t.Helper()
	_, stderr, code := c.goferry(t, t.TempDir(), append([]string{"pack", "-o", "oci:bundle"}, args...)...)
	if code != exitFailed || !strings.Contains(stderr, name) || !strings.Contains(stderr, reason) || strings.Contains(stderr, "goroutine ") {
		t.Errorf("pack exits with %d and says %q; want %d and %s: %s", code, stderr, exitFailed, name, reason)
	}
}

// serveLayout serves the bundles of a layout, and returns the URL.
func serveLayout(t *testing.T, layout string) string {
	t.Helper()
	server, err := serve.New(t.Context(), serve.Options{Sources: []serve.Source{{
		Name: "corpus", Repository: "corpus", Reference: oci.Reference{Transport: oci.TransportLayout, Path: layout},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	listening := httptest.NewServer(server)
	t.Cleanup(listening.Close)
	return listening.URL
}

// goferry runs the command in dir.
func (c *corpus) goferry(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command("goferry", args...)
	cmd.Dir, cmd.Env = dir, c.env(t.TempDir(), c.url)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func (c *corpus) must(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, stderr, code := c.goferry(t, dir, args...); code != exitDone || stderr != "" {
		t.Fatalf("goferry %s exits with %d and says\n%s", args[0], code, stderr)
	}
}
