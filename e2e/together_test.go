package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestTogether runs sixteen processes that write into one layout, with others that prune it meanwhile, and sixteen that
// unpack into one directory. All of the sixteen have to succeed, and to leave what one would have left.
func TestTogether(t *testing.T) {
	const processes = 16
	f := packModules(t)
	t.Run("copy and prune", func(t *testing.T) {
		dir := filepath.Join(tempDir(t), "layout")
		f.cloneWithLitter(t, dir)
		var copies, prunes []*exec.Cmd
		for i := range processes {
			cmd, _, _ := command{}.start(t, binary, "copy", f.ref, fmt.Sprintf("oci:%s:v%d", dir, i))
			copies = append(copies, cmd)
			if i%4 == 0 {
				cmd, _, _ := command{}.start(t, binary, "prune", "oci:"+dir)
				prunes = append(prunes, cmd)
			}
		}
		waitAll(t, copies, 0)
		waitAll(t, prunes, 0, 1) // or somebody was writing
		goferry(t, "prune", "oci:"+dir)
		if n := len(decode[ocispec.Index](t, filepath.Join(dir, "index.json")).Manifests); n != processes {
			t.Errorf("%d tags, want %d", n, processes)
		}
		for i := range processes {
			goferry(t, "verify", fmt.Sprintf("oci:%s:v%d", dir, i))
		}
		whole, err := filepath.Glob(filepath.Join(f.dir, "blobs", "sha256", "*"))
		left, leftErr := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
		if err != nil || leftErr != nil || len(left) != len(whole) {
			t.Errorf("%d blobs are left, want %d", len(left), len(whole))
		}
		noLitter(t, dir)
	})
	t.Run("unpack", func(t *testing.T) {
		dir := filepath.Join(tempDir(t), "site")
		goferry(t, "unpack", anybody, f.ref, dir)
		want := unpackedFiles(t, dir)
		removeAll(dir)
		var cmds []*exec.Cmd
		for range processes {
			cmd, _, _ := command{}.start(t, binary, "unpack", anybody, f.ref, dir)
			cmds = append(cmds, cmd)
		}
		waitAll(t, cmds, 0)
		if got := unpackedFiles(t, dir); got != want {
			t.Errorf("sixteen together have left\n%s\nand not\n%s", got, want)
		}
		noLitter(t, dir)
	})
}

// waitAll holds that each command ends with one of the codes.
func waitAll(t *testing.T, cmds []*exec.Cmd, codes ...int) {
	t.Helper()
	for _, cmd := range cmds {
		cmd.Wait() // the code says it
		if !slices.Contains(codes, cmd.ProcessState.ExitCode()) {
			t.Errorf("%q: %v\n%s", cmd.Args, cmd.ProcessState, cmd.Stderr)
		}
	}
}

// noLitter holds that nothing temporary is left in a layout or a directory that was unpacked into.
func noLitter(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{".goferry-*", ".*.new", "generations/.*"} {
		if left, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(left) > 0 {
			t.Errorf("%v: %q is left", err, left)
		}
	}
}
