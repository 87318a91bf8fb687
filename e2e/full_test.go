package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// small mounts a tmpfs with a limit until the test ends.
func small(t *testing.T, limit string) (dir string) {
	t.Helper()
	needRoot(t)
	dir = tempDir(t)
	root(t, "mount", "-t", "tmpfs", "-o", limit, "tmpfs", dir)
	t.Cleanup(func() { eject(t, dir) })
	return dir
}

// enlarge takes the limit away.
func enlarge(t *testing.T, dir string) {
	t.Helper()
	root(t, "mount", "-o", "remount,size=256m,nr_inodes=100000", dir)
}

// limits are of disks that are far too small, nearly large enough, and large enough, for a bundle of so many bytes.
func limits(bytes int64) (list []string) {
	for _, permille := range []int64{0, 100, 500, 900, 980, 995, 1000, 1005, 1010, 1020, 1040, 1100, 1300, 2000} {
		list = append(list, fmt.Sprintf("size=%dk", max(bytes*permille/1000/1024, 16)))
	}
	for _, inodes := range []int{3, 5, 8, 12, 20, 25, 50, 75, 100, 110, 200, 400, 800} {
		list = append(list, fmt.Sprintf("nr_inodes=%d", inodes))
	}
	return list
}

// TestFullDisk gives each command that writes disks of many sizes. It does all of its work, or ends with exit code 7 and the
// path in the message, and nothing is there that looks like a success; with more space the same command then does all of it.
func TestFullDisk(t *testing.T) {
	f := packModules(t)
	bytes := treeSize(t, f.dir)
	whole := unpack(t, f.ref)
	verify := func(t *testing.T, dir string) { goferry(t, "verify", "oci:"+dir+"/layout:v1") }
	for _, test := range []struct {
		name  string
		args  func(dir string) []string
		check func(t *testing.T, dir string)
	}{
		{"pack", func(dir string) []string {
			return append([]string{"pack", "-C", "testdata/hello", "-o", "oci:" + dir + "/layout:v1"}, hello...)
		}, verify},
		{"copy", func(dir string) []string { return []string{"copy", f.ref, "oci:" + dir + "/layout:v1"} }, verify},
		{"archive", func(dir string) []string { return []string{"copy", f.ref, "oci-archive:" + dir + "/app.tar:v1"} },
			func(t *testing.T, dir string) { goferry(t, "verify", "oci-archive:"+dir+"/app.tar:v1") }},
		{"unpack", func(dir string) []string { return []string{"unpack", anybody, f.ref, dir + "/site"} },
			func(t *testing.T, dir string) {
				root(t, "diff", "-r", whole.dir+"/current/mod", dir+"/site/current/mod")
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			full, fitted := 0, 0
			for _, limit := range limits(bytes) {
				dir := small(t, limit)
				r := command{}.run(t, binary, test.args(dir)...)
				if r.code == 0 {
					fitted++
				} else {
					full++
					r.want(t, 7).says(t, dir)
					unfinished(t, dir, limit)
					enlarge(t, dir)
					goferry(t, test.args(dir)...)
				}
				test.check(t, dir)
				litter(t, dir)
			}
			if full < 6 || fitted < 3 {
				t.Errorf("%d disks were too small and %d large enough: the sizes test nothing", full, fitted)
			}
		})
	}
}

// unfinished holds that nothing on a disk looks as if it were complete: no archive, no current generation, no tag.
func unfinished(t *testing.T, dir, limit string) {
	t.Helper()
	for _, name := range []string{"app.tar", "site/current"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s: a full disk has %s", limit, name)
		}
	}
	index, err := os.ReadFile(filepath.Join(dir, "layout", "index.json"))
	if err == nil && strings.Contains(string(index), `"v1"`) {
		t.Errorf("%s: a full disk has the tag", limit)
	}
	litter(t, dir)
}

func treeSize(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// TestFullRepair damages a layout and fills its disk: repair ends with exit code 7, and with space it repairs.
func TestFullRepair(t *testing.T) {
	f := packModules(t)
	dir := small(t, "size=64m")
	if out, err := exec.Command("cp", "-a", f.dir, filepath.Join(dir, "layout")).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "layout", "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range blobs {
		if info, err := os.Stat(name); err == nil && info.Size() > 100<<10 {
			flip(t, name)
		}
	}
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast, 64<<10)
	refused(t, 7, "repair", "--from", f.ref, "oci:"+dir+"/layout").says(t, dir)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	goferry(t, "repair", "--from", f.ref, "oci:"+dir+"/layout")
	goferry(t, "verify", "oci:"+dir+"/layout:v1")
}
