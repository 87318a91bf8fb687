package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// burn makes a read-only medium of a directory until the test ends.
func burn(t *testing.T, from string) (dir string) {
	t.Helper()
	needRoot(t)
	need(t, "mksquashfs", "apt-get install squashfs-tools")
	image := filepath.Join(tempDir(t), "image")
	root(t, "mksquashfs", from, image, "-quiet", "-no-progress")
	dir = tempDir(t)
	root(t, "mount", "-t", "squashfs", "-o", "loop,ro", image, dir)
	t.Cleanup(func() { eject(t, dir) })
	return dir
}

// TestReadOnly uses a bundle on a read-only medium in every way, and holds with strace that no write is attempted there.
func TestReadOnly(t *testing.T) {
	need(t, "strace", "apt-get install strace")
	f := packModules(t)
	from := tempDir(t)
	goferry(t, "copy", f.ref, "oci:"+from+"/layout:v1")
	goferry(t, "copy", f.ref, "oci-archive:"+from+"/app.tar:v1")
	dir := burn(t, from)
	project := copyTree(t, "testdata/hello")
	for _, ref := range []string{"oci:" + dir + "/layout:v1", "oci-archive:" + dir + "/app.tar:v1"} {
		for _, args := range [][]string{
			{"inspect", ref}, {"sbom", ref}, {"verify", ref},
			{"copy", ref, layoutRef(t)}, {"copy", "--verify", anybody, ref, layoutRef(t)},
			{"copy", ref, "oci-archive:" + filepath.Join(tempDir(t), "app.tar") + ":v1"},
			{"unpack", anybody, ref, filepath.Join(tempDir(t), "site")},
			{"rehearse", anybody, ref, "--", "true"},
		} {
			t.Run(args[0], func(t *testing.T) {
				onlyReads(t, project, dir, append([]string{binary}, args...)...)
			})
		}
		t.Run("serve", func(t *testing.T) {
			onlyReads(t, project, dir, "sh", "-ec", `mkfifo "$1/url"
"$0" serve --insecure-ignore-signature --quiet --listen 127.0.0.1:0 "app=$2" >"$1/url" & server=$!
read -r url <"$1/url"
"$0" copy --plain-http "${url#http://}/app:v1" "oci:$1/layout:v1"
kill $server
wait $server`, binary, tempDir(t), ref)
		})
	}
}

// writing matches the system calls that change a file system, as strace has them with the names of what is open.
var writing = regexp.MustCompile(`O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|^\d+ +(mkdir|unlink|rmdir|rename|link|symlink|f?chmod|f?chown|lchown|f?truncate|utime|futimes|mknod|f?setxattr|fallocate)`)

// onlyReads runs a command that has to succeed and to attempt no write below dir.
func onlyReads(t *testing.T, project, dir string, args ...string) {
	t.Helper()
	log := filepath.Join(tempDir(t), "strace")
	command{dir: project}.must(t, "strace", append([]string{"-f", "-y", "-qq", "-s", "4096", "-e", "trace=%file,%desc", "-e", "signal=none", "-o", log}, args...)...)
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for line := range strings.Lines(string(data)) {
		if !strings.Contains(line, dir) || strings.Contains(line, " execve(") {
			continue
		}
		seen = true
		if writing.MatchString(line) || strings.Contains(line, "EROFS") {
			t.Errorf("%s: a write: %s", filepath.Base(args[0]), line)
		}
	}
	if !seen {
		t.Error("strace saw nothing of the medium")
	}
}
