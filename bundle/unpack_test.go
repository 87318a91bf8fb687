package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

func unpackTest(t *testing.T, s oci.Store, dir string, extract bool) *Unpacked {
	t.Helper()
	u, err := Unpack(t.Context(), alone(verifyTest(t, s)), dir, UnpackOptions{Platform: linux, Extract: extract})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// alone is a bundle to be unpacked by itself.
func alone(v *Verified) []SiteBundle { return []SiteBundle{{"bundle", v}} }

// tree lists the files below dir with their modes.
func treeOf(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		list = append(list, info.Mode().String()+" "+filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestUnpack(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := filepath.Join(t.TempDir(), "some where") // with a space
	unpackTest(t, s, dir, false)
	got := slices.DeleteFunc(treeOf(t, filepath.Join(dir, "current")), func(s string) bool { return strings.HasPrefix(s[11:], "bundles/") })
	const d, gotoolchain = "mod/cache/download/example.com/", "mod/cache/download/golang.org/toolchain/@v/"
	want := []string{
		"-rw-r--r-- bundle.json", "-rw-r--r-- env",
		"-rw-r--r-- go/VERSION", "-rwxr-xr-x go/bin/go", "-rw-r--r-- go/go.env", "-rw-r--r-- go/src/go.mod",
		"-rw-r--r-- " + d + "!upper/sub/@latest", "-rw-r--r-- " + d + "!upper/sub/@v/list",
		"-rw-r--r-- " + d + "!upper/sub/@v/v1.1.0.info", "-rw-r--r-- " + d + "!upper/sub/@v/v1.1.0.mod",
		"-rw-r--r-- " + d + "!upper/sub/@v/v1.2.0.info", "-rw-r--r-- " + d + "!upper/sub/@v/v1.2.0.mod", "-rw-r--r-- " + d + "!upper/sub/@v/v1.2.0.zip",
		"-rw-r--r-- " + d + "tool/@latest", "-rw-r--r-- " + d + "tool/@v/list",
		"-rw-r--r-- " + d + "tool/@v/v0.0.0-20260102030405-0123456789ab.info", "-rw-r--r-- " + d + "tool/@v/v0.0.0-20260102030405-0123456789ab.mod", "-rw-r--r-- " + d + "tool/@v/v0.0.0-20260102030405-0123456789ab.zip",
		"-rw-r--r-- " + gotoolchain + "list", "-rw-r--r-- " + gotoolchain + "v0.0.1-go1.26.8.linux-amd64.info",
		"-rw-r--r-- " + gotoolchain + "v0.0.1-go1.26.8.linux-amd64.mod", "-rw-r--r-- " + gotoolchain + "v0.0.1-go1.26.8.linux-amd64.zip",
		"-rw-r--r-- state.json",
	}
	slices.SortFunc(want, func(a, b string) int { return strings.Compare(a[11:], b[11:]) })
	slices.SortFunc(got, func(a, b string) int { return strings.Compare(a[11:], b[11:]) })
	if !slices.Equal(got, want) {
		t.Errorf("unpacked:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	env, err := os.ReadFile(filepath.Join(dir, "current/go/go.env"))
	if err != nil || !strings.Contains(string(env), "some%20where/current/mod/cache/download") || strings.Contains(string(env), "proxy.example") {
		t.Errorf("go.env = %s, %v", env, err)
	}
}

func TestUnpackExtract(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, true)
	for _, name := range []string{"example.com/!upper/sub@v1.2.0/x.go", "cache/download/example.com/!upper/sub/@v/v1.2.0.ziphash"} {
		if _, err := os.Stat(filepath.Join(dir, "current/mod", name)); err != nil {
			t.Error(err)
		}
	}
	for _, shell := range []Shell{Sh, Fish, PowerShell} {
		env, err := Env(dir, shell)
		if err != nil || !strings.Contains(env, "GOMODCACHE") {
			t.Errorf("Env(%s) = %s, %v, want GOMODCACHE in it", shell, env, err)
		}
	}
	u := unpackTest(t, s, dir, true)
	if u.Written != 0 || u.Linked != 3 {
		t.Errorf("again: %+v, want all linked", u)
	}
}

// The second bundle costs what changed, and the first comes back with Rollback.
func TestUnpackNext(t *testing.T) {
	first := captured(t)
	s, _ := packTest(t, first, t.TempDir())
	next := captured(t)
	next.Modules[1] = testModule(t, t.TempDir(), "example.com/tool", "v1.0.0")
	s2, _ := packTest(t, next, t.TempDir())

	dir := t.TempDir()
	one := unpackTest(t, s, dir, false)
	two := unpackTest(t, s2, dir, false)
	if two.Linked != 2 {
		t.Errorf("%d layers linked, want 2", two.Linked)
	}
	same := func(name string) bool {
		a, err := os.Stat(filepath.Join(dir, "generations", one.Generation, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.Stat(filepath.Join(dir, "current", name))
		if err != nil {
			t.Fatal(err)
		}
		return os.SameFile(a, b)
	}
	if !same("go/bin/go") || same("go/go.env") {
		t.Error("want the go command linked and go.env not")
	}
	current := func() string {
		to, _ := os.Readlink(filepath.Join(dir, "current"))
		return filepath.Base(to)
	}
	if got, err := Rollback(t.Context(), dir); err != nil || got != one.Generation || current() != one.Generation {
		t.Fatalf("Rollback = %s, %v, want %s; current is %s", got, err, one.Generation, current())
	}
	if _, err := Rollback(t.Context(), dir); !errors.Is(err, ErrNoEarlier) || current() != one.Generation {
		t.Errorf("a second Rollback = %v, want %v; current is %s", err, ErrNoEarlier, current())
	}
	unpackTest(t, s2, dir, false) // the way forward
	if got, err := Rollback(t.Context(), dir); err != nil || got != one.Generation {
		t.Errorf("Rollback after unpacking again = %s, %v, want %s", got, err, one.Generation)
	}
	if err := os.Symlink("generations/"+one.Generation, filepath.Join(dir, "previous")); err != nil { // as a killed one leaves it
		t.Fatal(err)
	}
	if _, err := Rollback(t.Context(), dir); !errors.Is(err, ErrNoEarlier) {
		t.Errorf("Rollback after one that was killed = %v, want %v", err, ErrNoEarlier)
	}
}

// What is damaged does not become current again, whatever is damaged of it.
func TestRollbackDamaged(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	next := captured(t)
	next.Modules[1] = testModule(t, t.TempDir(), "example.com/tool", "v1.0.0")
	s2, _ := packTest(t, next, t.TempDir())
	for name, want := range map[string]error{
		"go/go.env": ErrMismatch, "mod/cache/download/example.com/!upper/sub/@v/v1.2.0.zip": ErrMismatch,
		"state.json": ErrIncomplete, "bundles/index.json": ErrMismatch,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			one := unpackTest(t, s, dir, false)
			two := unpackTest(t, s2, dir, false)
			damage := lostBit
			if want == ErrIncomplete {
				damage = os.Remove
			}
			if err := damage(filepath.Join(dir, "generations", one.Generation, name)); err != nil {
				t.Fatal(err)
			}
			if got, err := Rollback(t.Context(), dir); !errors.Is(err, want) {
				t.Errorf("Rollback = %s, %v, want %v", got, err, want)
			}
			if to, _ := os.Readlink(filepath.Join(dir, "current")); filepath.Base(to) != two.Generation {
				t.Errorf("current is %s, want %s", to, two.Generation)
			}
		})
	}
}

// The same bundle again is no new generation, so that Rollback still leads to the one before.
func TestUnpackAgain(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	one := unpackTest(t, s, dir, false)
	made, err := os.Stat(filepath.Join(dir, "generations"))
	if err != nil {
		t.Fatal(err)
	}
	again := unpackTest(t, s, dir, false)
	if now, err := os.Stat(filepath.Join(dir, "generations")); err != nil || !now.ModTime().Equal(made.ModTime()) {
		t.Errorf("something was written: %v", err)
	}
	if again.Generation != one.Generation {
		t.Errorf("generation %s, want %s", again.Generation, one.Generation)
	}
	if _, err := Rollback(t.Context(), dir); err == nil {
		t.Error("Rollback worked without an earlier generation")
	}
}

// What changed in a generation, by whomever, is not linked but read from the bundle, and the damaged generation is not
// what Rollback leads to.
func TestUnpackMends(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, false)
	before := treeOf(t, filepath.Join(dir, "current"))
	for name, damage := range damages(t) {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "current", strings.Fields(name)[0])
			good, _ := os.ReadFile(file)
			if err := damage(file); err != nil {
				t.Fatal(err)
			}
			unpackTest(t, s, dir, false)
			if got, err := os.ReadFile(file); good != nil && filepath.Base(file) != genState && (err != nil || string(got) != string(good)) {
				t.Errorf("after unpacking again %s is %.20q, %v", name, got, err)
			}
			if after := treeOf(t, filepath.Join(dir, "current")); !slices.Equal(after, before) {
				t.Errorf("the tree has %v, had %v", after, before)
			}
			if _, err := Rollback(t.Context(), dir); err == nil {
				t.Error("Rollback leads to the damaged generation")
			}
		})
	}
}

// damages are ways to damage what was unpacked; the first word of the name is the file.
func damages(t *testing.T) map[string]func(file string) error {
	t.Helper()
	zeros := func(file string) error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		return os.WriteFile(file, make([]byte, info.Size()), 0o644)
	}
	const sub = "mod/cache/download/example.com/!upper/sub/@v/"
	return map[string]func(string) error{
		"go/bin/go has other bytes": zeros, "go/bin/go has lost a bit": lostBit, "go/bin/go gone": os.Remove,
		"go/bin/go cannot be executed": func(file string) error { return os.Chmod(file, 0o644) },
		sub + "v1.2.0.zip other bytes": zeros, sub + "v1.2.0.zip lost a bit": lostBit, sub + "v1.2.0.mod gone": os.Remove,
		sub + "list other bytes": zeros, sub + "list lost a bit": lostBit, "env lost a bit": lostBit, "go/go.env gone": os.Remove,
		"bundles/index.json lost a bit": lostBit, "state.json other bytes": zeros,
		sub + "v9.9.9.zip foreign": create, "go/bin/gopher foreign": create, "foreign directory": func(file string) error { return os.Mkdir(file, 0o755) },
	}
}

// A layer of the generation before is linked only for a bundle that says the same of it: here one
// calls an old toolchain by a new name.
func TestUnpackDoesNotLinkRelabelled(t *testing.T) {
	f := newForgery(t)
	dir := t.TempDir()
	unpackTest(t, f.store, dir, false)
	for name, edit := range map[string]func(){
		"sum":     func() { f.manifest.Layers[0].Annotations[AnnotationSum] = "h1:FORGED=" },
		"diff_id": func() { f.image.RootFS.DiffIDs[0] = digest.FromString("x") },
		"name": func() {
			f.manifest.Layers[0].Annotations[AnnotationModule] = "golang.org/toolchain@v0.0.1-go1.26.9.linux-amd64"
			f.editRecord(t, func(r *Record) {
				r.GoVersion, r.Toolchains[0].Version = "go1.26.9", "v0.0.1-go1.26.9.linux-amd64"
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f = newForgery(t)
			edit()
			f.write(t)
			v, err := Verify(t.Context(), f.store, "v1", VerifyOptions{})
			if err == nil {
				_, err = Unpack(t.Context(), alone(v), dir, UnpackOptions{Platform: linux})
			}
			if !errors.Is(err, ErrMismatch) {
				t.Errorf("Unpack: %v, want ErrMismatch", err)
			}
		})
	}
}

// A failure leaves the directory as it was.
func TestUnpackFails(t *testing.T) {
	good := captured(t)
	s, _ := packTest(t, good, t.TempDir())
	bad := captured(t)
	bad.Modules[1] = testModule(t, t.TempDir(), "example.com/tool", "v1.0.0")
	badDir := t.TempDir()
	s2, _ := packTest(t, bad, badDir)
	v2 := verifyTest(t, s2)
	for file, name := range blobs(t, v2, badDir) {
		if strings.HasPrefix(name, "example.com/tool@") {
			if err := os.WriteFile(file, make([]byte, 100), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := t.TempDir()
	unpackTest(t, s, dir, false)
	before := treeOf(t, dir)
	_, err := Unpack(t.Context(), alone(v2), dir, UnpackOptions{Platform: linux})
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "example.com/tool@v1.0.0") {
		t.Errorf("Unpack: %v, want ErrMismatch that names the module", err)
	}
	if after := treeOf(t, dir); !slices.Equal(before, after) {
		t.Errorf("the directory changed:\n%s\nwas:\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
	if _, err := Unpack(t.Context(), alone(v2), dir, UnpackOptions{Platform: gomod.Platform{OS: "plan9", Arch: "arm"}}); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("unknown platform: %v", err)
	}
}

// What a killed run left is cleared away, and a file in the way is not.
func TestUnpackLitter(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "generations", ".staging-DEAD", "go"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	unpackTest(t, s, dir, false)
	if entries, _ := os.ReadDir(filepath.Join(dir, "generations")); len(entries) != 1 {
		t.Errorf("generations has %v", entries)
	}
	if _, err := os.Stat(filepath.Join(dir, "mine.txt")); err != nil {
		t.Error(err)
	}
}

// What is in the place of something of ours is left alone.
func TestUnpackInTheWay(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	v := verifyTest(t, s)
	for name, make := range map[string]func(dir string) error{
		"current is a file":      func(dir string) error { return os.WriteFile(filepath.Join(dir, "current"), []byte("mine"), 0o644) },
		"current is a directory": func(dir string) error { return os.MkdirAll(filepath.Join(dir, "current", "mine"), 0o755) },
		"generations is a link":  func(dir string) error { return os.Symlink(t.TempDir(), filepath.Join(dir, "generations")) },
		"the lock is a link": func(dir string) error {
			return os.Symlink(filepath.Join(t.TempDir(), "x"), filepath.Join(dir, ".lock"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			before := treeOf(t, dir)
			if _, err := Unpack(t.Context(), alone(v), dir, UnpackOptions{Platform: linux}); err == nil || !strings.Contains(err.Error(), "in the way") {
				t.Errorf("Unpack: %v, want an error that says what is in the way", err)
			}
			after := slices.DeleteFunc(treeOf(t, dir), func(s string) bool { return strings.HasSuffix(s, " .lock") && name != "the lock is a link" })
			if !slices.Equal(before, after) {
				t.Errorf("the directory has %v, had %v", after, before)
			}
		})
	}
}

func TestUnpackKeepsForeignGenerations(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	mine := filepath.Join(dir, "generations", "mine", "data")
	if err := os.MkdirAll(mine, 0o755); err != nil {
		t.Fatal(err)
	}
	unpackTest(t, s, dir, false)
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

// A wait for another process ends with the context.
func TestUnpackWaits(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	v := verifyTest(t, s)
	dir := t.TempDir()
	held, err := openTree(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Unpack(ctx, alone(v), dir, UnpackOptions{Platform: linux}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Unpack: %v, want %v", err, context.DeadlineExceeded)
	}
}

// Many at once: one after the other, and whoever looks at current sees a whole generation.
func TestUnpackAtOnce(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := filepath.Join(t.TempDir(), "new")
	v := verifyTest(t, s)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := Unpack(t.Context(), alone(v), dir, UnpackOptions{Platform: linux}); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "current", "go", "bin", "go")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
