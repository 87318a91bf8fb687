package e2e

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A killing is a command that is killed again and again, at random moments.
type killing struct {
	name string
	args []string                      // DST is what it writes, or HOST a registry
	make func(t *testing.T, at string) // what is at DST before; nil: nothing
	same func(t *testing.T, at string) string
}

// TestKill kills each command that writes with -9 at random moments. One more run has to end well, with the same files as
// if nothing had happened, and without litter beside them. With -accept it does so a hundred times each:
//
//	go test -run TestKill -accept -v -timeout 1h .
func TestKill(t *testing.T) {
	f := packModules(t)
	registry := startInProcess(t, security{}).host + "/app:v1"
	goferry(t, "copy", "--plain-http", f.ref, registry)
	for _, k := range []killing{
		{name: "pack", args: []string{"pack", "-C", "testdata/hello", "--toolchain", "none", "-o", "oci:DST:v1"}},
		{name: "copy to a layout", args: []string{"copy", f.ref, "oci:DST:v1"}},
		{name: "copy to an archive", args: []string{"copy", f.ref, "oci-archive:DST:v1"}},
		{name: "copy to a registry", args: []string{"copy", "--plain-http", f.ref, "HOST/app:v1"}},
		{name: "copy from a registry", args: []string{"copy", "--plain-http", registry, "oci:DST:v1"}},
		{name: "unpack", args: []string{"unpack", anybody, f.ref, "DST"}, same: unpackedFiles},
		{name: "unpack again", args: []string{"unpack", anybody, f.ref, "DST"}, make: unpackOther(t), same: unpackedFiles},
		{name: "repair", args: []string{"repair", "--from", f.ref, "oci:DST"}, make: f.cloneDamaged},
		{name: "prune", args: []string{"prune", "oci:DST"}, make: f.cloneWithLitter},
	} {
		t.Run(k.name, k.run)
	}
}

func (k killing) run(t *testing.T) {
	times := 3
	if *accept {
		times = 100
	}
	if k.same == nil {
		k.same = files
	}
	at := filepath.Join(tempDir(t), "dst") // one name for all, as some files have it in them
	want, _ := k.once(t, at, 0)
	_, took := k.once(t, at, 0) // the first has filled caches
	for range times {
		after := 1 + rand.N(took)
		if got, _ := k.once(t, at, after); got != want {
			t.Fatalf("killed after %v, and run once more, there is\n%s\nand not\n%s", after, got, want)
		}
	}
	t.Logf("%d kills within %v", times, took)
}

// once runs the command, and kills it after a while and runs it again if there is one. It returns what there is then.
func (k killing) once(t *testing.T, at string, after time.Duration) (files string, took time.Duration) {
	t.Helper()
	removeAll(at)
	if k.make != nil {
		k.make(t, at)
	}
	host := ""
	if strings.HasPrefix(k.args[len(k.args)-1], "HOST") {
		host = startInProcess(t, security{}).host
	}
	var args []string
	for _, arg := range k.args {
		args = append(args, strings.NewReplacer("DST", at, "HOST", host).Replace(arg))
	}
	temp := tempDir(t)
	c := command{env: []string{"TMPDIR=" + temp}}
	if after > 0 {
		cmd, _, _ := c.start(t, binary, args...)
		timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
		cmd.Wait()
		timer.Stop()
	}
	start := time.Now()
	c.must(t, binary, args...)
	took = time.Since(start)
	if host != "" {
		goferry(t, "copy", "--plain-http", host+"/app:v1", "oci:"+at+":v1")
	}
	noLitter(t, at)
	beside, err := os.ReadDir(filepath.Dir(at))
	left, leftErr := os.ReadDir(temp)
	if err != nil || leftErr != nil || len(beside) > 1 || len(left) > 0 {
		t.Errorf("goferry %q killed after %v: %v is there, and %v for what is temporary", args, after, beside, left)
	}
	return k.same(t, at), took
}

// files is what all files below a directory are.
func files(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		fmt.Fprintf(&b, "%s %x\n", strings.TrimPrefix(name, dir), sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// unpackedFiles is files of the current generation, which may have another name after a kill, and says how many there are.
// What goferry remembers of the files has their times.
func unpackedFiles(t *testing.T, dir string) string {
	t.Helper()
	current, err := filepath.EvalSymlinks(filepath.Join(dir, "current"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(files(t, current)) {
		if !strings.HasPrefix(line, "/state.json ") {
			lines = append(lines, line)
		}
	}
	generations, err := filepath.Glob(filepath.Join(dir, "generations", "*"))
	if err != nil || len(generations) > 2 {
		t.Errorf("%v: generations are %q", err, generations)
	}
	return strings.Join(lines, "")
}

// unpackOther unpacks another bundle, which shares modules with that of packModules.
func unpackOther(t *testing.T) func(*testing.T, string) {
	t.Helper()
	other := "oci:" + filepath.Join(tempDir(t), "other") + ":v1"
	goferry(t, "pack", "--module", "golang.org/x/text@v0.14.0", "--toolchain", "none", "-o", other)
	return func(t *testing.T, at string) { goferry(t, "unpack", anybody, other, at) }
}

func (f *fixture) cloneTo(t *testing.T, at string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", f.dir, at).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
}

// cloneDamaged makes a copy of the layout in which every second blob is wrong.
func (f *fixture) cloneDamaged(t *testing.T, at string) {
	t.Helper()
	f.cloneTo(t, at)
	blobs, err := filepath.Glob(filepath.Join(at, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range blobs {
		if i%2 == 0 {
			flip(t, name)
		}
	}
}

// cloneWithLitter makes a copy of the layout with old blobs that nothing leads to.
func (f *fixture) cloneWithLitter(t *testing.T, at string) {
	t.Helper()
	f.cloneTo(t, at)
	then := time.Now().Add(-48 * time.Hour)
	for i := range 500 {
		data := fmt.Appendf(nil, "blob %d", i)
		name := filepath.Join(at, "blobs", "sha256", fmt.Sprintf("%x", sha256.Sum256(data)))
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
	}
}
