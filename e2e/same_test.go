package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hello is what the tests below pack again and again.
var hello = []string{"--toolchain", "none", "--platform", "linux/amd64,linux/arm64"}

func packTo(t *testing.T, c command, project, ref string) result {
	t.Helper()
	return c.run(t, binary, append([]string{"pack", "-C", project, "-o", ref}, hello...)...)
}

func layoutRef(t *testing.T) string {
	t.Helper()
	return "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
}

// TestSameDigest holds that the bundle depends on the modules only.
func TestSameDigest(t *testing.T) {
	f := packModules(t)
	built := filledCache(t, "testdata/hello", "build", "./...") // as most caches are: no .info, no zips of test dependencies
	for _, test := range []struct {
		name string
		env  []string
	}{
		{"again", nil},
		{"one processor", []string{"GOMAXPROCS=1"}},
		{"another temporary directory", []string{"TMPDIR=" + tempDir(t)}},
		{"another time zone and language", []string{"TZ=Asia/Kathmandu", "LC_ALL=C"}},
		{"empty module cache", []string{"GOMODCACHE=" + tempDir(t)}},
		{"module cache of a build", []string{"GOMODCACHE=" + built}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := packTo(t, command{env: test.env}, "testdata/hello", layoutRef(t)).want(t, 0)
			if r.text() != f.digest {
				t.Errorf("pack = %s, want %s", r.text(), f.digest)
			}
		})
	}
	t.Run("another directory", func(t *testing.T) {
		if r := packTo(t, command{}, copyTree(t, "testdata/hello"), layoutRef(t)).want(t, 0); r.text() != f.digest {
			t.Errorf("pack = %s, want %s", r.text(), f.digest)
		}
	})
}

// filledCache is a module cache that one go command has filled, out of the user's own where it can.
func filledCache(t *testing.T, project string, args ...string) string {
	t.Helper()
	dir := tempDir(t)
	c := command{dir: copyTree(t, project), env: []string{
		"GOMODCACHE=" + dir, "GOPROXY=file://" + goEnv["GOMODCACHE"] + "/cache/download," + goEnv["GOPROXY"]}}
	c.must(t, "go", args...)
	return dir
}

// TestUntouched holds that pack changes nothing of the user's: not the project, not the module cache, not even a time.
func TestUntouched(t *testing.T) {
	for _, args := range [][]string{{"mod", "download"}, {"build", "./..."}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			cache, project := filledCache(t, "testdata/hello", args...), copyTree(t, "testdata/hello")
			before := tree(t, cache) + tree(t, project)
			packTo(t, command{env: []string{"GOMODCACHE=" + cache}}, project, layoutRef(t)).want(t, 0)
			if after := tree(t, cache) + tree(t, project); after != before {
				t.Errorf("pack changed the module cache or the project:\n%s", firstDifference(before, after))
			}
		})
	}
}

// TestReadOnlyCache packs from a module cache and a project on a read-only mount, which stops root, too.
func TestReadOnlyCache(t *testing.T) {
	needRoot(t)
	cache, project, ref := filledCache(t, "testdata/hello", "build", "./..."), copyTree(t, "testdata/hello"), layoutRef(t)
	script := `for d in "$GOMODCACHE" "$PROJECT"; do mount --bind "$d" "$d" && mount -o remount,ro,bind "$d" || exit; done; exec "$0" "$@"`
	args := append([]string{"-m", "sh", "-c", script, binary, "pack", "-C", project, "-o", ref}, hello...)
	command{env: []string{"GOMODCACHE=" + cache, "PROJECT=" + project}}.must(t, "unshare", args...)
}

// tree lists every file with its mode, size and time.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		fmt.Fprintln(&all, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func firstDifference(before, after string) string {
	b, a := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range min(len(b), len(a)) {
		if b[i] != a[i] {
			return "- " + b[i] + "\n+ " + a[i]
		}
	}
	return fmt.Sprintf("%d lines, then %d", len(b), len(a))
}
