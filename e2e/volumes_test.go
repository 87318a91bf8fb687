package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestVolumes carries a bundle with toolchains, each larger than a volume, on volumes, loads the last first, kills a load
// in the middle, and builds with what has arrived.
func TestVolumes(t *testing.T) {
	f := packHello(t)
	dir := tempDir(t)
	out := filepath.Join(dir, "volumes")
	r := command{}.run(t, binary, "copy", "--volume-size", "40MB", f.ref, out+":v1").want(t, 0)
	if r.text() != f.digest {
		t.Errorf("copy prints %q, want %s", r.text(), f.digest)
	}
	volumes, err := filepath.Glob(filepath.Join(out, "vol-*"))
	if err != nil || len(volumes) < 4 {
		t.Fatalf("there are %d volumes, %v", len(volumes), err)
	}
	for _, v := range volumes {
		command{dir: v}.must(t, "sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS")
		command{}.must(t, "chmod", "-R", "a-w", v)
	}

	slices.Reverse(volumes)
	inside := "oci:" + filepath.Join(dir, "inside") + ":v1"
	for i, v := range volumes {
		kill(t, "copy", v, inside)
		if i == len(volumes)-1 {
			if got := goferry(t, "copy", v, inside); got != f.digest {
				t.Errorf("copy prints %q, want %s", got, f.digest)
			}
			break
		}
		refused(t, 6, "copy", v, inside).says(t, "still to come", "volume 1 ")
	}
	goferry(t, "verify", inside)

	// The volumes are a bundle too, where they are.
	s := unpack(t, out)
	project := copyTree(t, "testdata/hello")
	s.must(t, project, "go build ./... && go mod verify")
}

// kill starts the command and ends it at once, however far it has come.
func kill(t *testing.T, args ...string) {
	t.Helper()
	cmd, _, _ := command{}.start(t, binary, args...)
	cmd.Process.Kill()
	cmd.Wait()
}

// TestStream sends a bundle through a pipe, and lets skopeo read what goes through it.
func TestStream(t *testing.T) {
	f := packModules(t)
	dir := tempDir(t)
	line := `"$0" copy "$1" - | "$0" copy oci-archive:- "oci:$2/inside:v1" && "$0" copy "$1" oci-archive:-:v1 > "$2/stream.tar"`
	out := command{}.must(t, "sh", "-c", line, binary, f.ref, dir)
	if out != f.digest {
		t.Errorf("copy prints %q, want %s", out, f.digest)
	}
	goferry(t, "verify", "oci:"+filepath.Join(dir, "inside"))
	archive := filepath.Join(dir, "stream.tar")
	goferry(t, "verify", "oci-archive:"+archive)

	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	cut := command{stdin: string(data[:len(data)/2])}.run(t, binary, "copy", "-", "oci:"+filepath.Join(dir, "cut")).want(t, 3)
	cut.says(t, "cut", "send it once more")
	need(t, "skopeo", "apt-get install skopeo")
	raw := command{}.must(t, "skopeo", "inspect", "--raw", "oci-archive:"+archive+":v1")
	if !strings.Contains(raw, `"dev.goferry.format"`) {
		t.Errorf("skopeo reads %q", raw)
	}
	command{}.must(t, "skopeo", "copy", "--all", "oci-archive:"+archive+":v1", "dir:"+filepath.Join(dir, "skopeo"))
}
