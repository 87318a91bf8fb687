package bundle

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

func readStatus(t *testing.T, dir string) *Status {
	t.Helper()
	s, err := ReadStatus(t.Context(), dir, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Each file that is not what was verified is named with what it was unpacked from, and nothing else is.
func TestStatusDamaged(t *testing.T) {
	s, _ := packTest(t, withTools(t), t.TempDir())
	const sub = "mod/cache/download/example.com/!upper/sub/@v/v1.2.0"
	for name, test := range map[string]struct {
		damage        func(file string) error
		problem, from string
	}{
		"go/bin/go":                              {lostBit, FileDamaged, "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"},
		"go/VERSION":                             {os.Remove, FileMissing, "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"},
		"go/bin/a":                               {lostBit, FileDamaged, "tool example.com/cmds/a@v1.0.0"},
		"go/bin/b":                               {allMayWrite, FileDamaged, "tool example.com/cmds/b/v2@v1.0.0"},
		"go/go.env":                              {lostBit, FileDamaged, ""},
		"go/bin/c":                               {create, FileForeign, ""},
		"mod/more":                               {func(file string) error { return os.Mkdir(file, 0o755) }, FileForeign, ""},
		sub + ".zip":                             {lostBit, FileDamaged, "example.com/Upper/sub@v1.2.0"},
		sub + ".mod":                             {lostBit, FileDamaged, "example.com/Upper/sub@v1.2.0"},
		sub + ".info":                            {lostBit, FileDamaged, "example.com/Upper/sub@v1.2.0"},
		sub + ".ziphash":                         {lostBit, FileDamaged, "example.com/Upper/sub@v1.2.0"},
		"mod/example.com/!upper/sub@v1.2.0/x.go": {lostBit, FileDamaged, "example.com/Upper/sub@v1.2.0"},
		"mod/cache/download/example.com/!upper/sub/@v/list": {lostBit, FileDamaged, ""},
		"bundle.json": {os.Remove, FileMissing, ""},
		"state.json":  {os.Remove, FileMissing, ""},
		"bundles":     {os.RemoveAll, FileMissing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpackTest(t, s, dir, true)
			if s := readStatus(t, dir); len(s.Problems) > 0 || s.Err() != nil {
				t.Fatalf("before: %v", s.Problems)
			}
			if err := test.damage(filepath.Join(dir, "current", name)); err != nil {
				t.Fatal(err)
			}
			status := readStatus(t, dir)
			want := ErrMismatch
			if test.problem == FileMissing {
				want = ErrIncomplete
			}
			if err := status.Err(); !errors.Is(err, want) {
				t.Errorf("Err() = %v, want %v", err, want)
			}
			for _, p := range status.Problems {
				if p.Problem != test.problem || !strings.HasPrefix(p.File, name) || p.Module != test.from {
					t.Errorf("problem %+v, want %s of %q", p, test.problem, test.from)
				}
			}
			unpackTest(t, s, dir, true)
			if s := readStatus(t, dir); len(s.Problems) > 0 {
				t.Errorf("after unpacking again: %v", s.Problems)
			}
		})
	}
}

func create(file string) error { return os.WriteFile(file, nil, 0o644) }

func allMayWrite(file string) error { return os.Chmod(file, 0o777) }

// lostBit changes a file as a disk does that forgets: neither size nor time tell.
func lostBit(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return errors.Join(os.WriteFile(file, data, 0o644), os.Chtimes(file, info.ModTime(), info.ModTime()))
}

// The locks of a go command that may write to the directory are not foreign, and nothing else can be called so.
func TestStatusLocks(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, true)
	for _, name := range []string{"mod/cache/lock", "mod/cache/download/example.com/tool/@v/v1.0.0.lock"} {
		if err := create(filepath.Join(dir, "current", name)); err != nil {
			t.Fatal(err)
		}
	}
	if s := readStatus(t, dir); len(s.Problems) > 0 {
		t.Errorf("problems %v, want none", s.Problems)
	}
	if err := os.WriteFile(filepath.Join(dir, "current/mod/cache/lock"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := readStatus(t, dir); len(s.Problems) != 1 || s.Problems[0].File != "mod/cache/lock" || s.Problems[0].Problem != FileForeign {
		t.Errorf("problems %v, want a lock with something in it", s.Problems)
	}
}

// What a directory says of itself is not enough: here its state was made to fit a zip that somebody else has made.
func TestStatusForged(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, false)
	current := filepath.Join(dir, "current")
	const zip = "mod/cache/download/example.com/!upper/sub/@v/v1.2.0.zip"
	forged := makeZip(t, zipFile{name: "example.com/Upper/sub@v1.2.0/x.go", content: "package forged"})
	if err := os.WriteFile(filepath.Join(current, zip), forged, 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(current, zip))
	if err != nil {
		t.Fatal(err)
	}
	was, err := readState(current)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range was.Layers {
		for i := range l.Files {
			if l.Files[i].Name == zip {
				l.Files[i] = fileState(zip, info)
			}
		}
	}
	was.Common = append(was.Common, stateFile{Name: "../../outside"})
	data, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(current, genState), data, 0o644); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, p := range readStatus(t, dir).Problems {
		found[p.File] = p.Problem
	}
	if found[zip] != FileDamaged {
		t.Errorf("found %v, want %s damaged", found, zip)
	}
	unpackTest(t, s, dir, false)
	if s := readStatus(t, dir); len(s.Problems) > 0 {
		t.Errorf("after unpacking again: %v", s.Problems)
	}
}

// Nothing that a directory says of itself hides what is in it, or makes it another bundle's.
func TestStatusForgedState(t *testing.T) {
	s, _ := packTest(t, withTools(t), t.TempDir())
	const foreign, tool, license = "go/src/evil.go", "go/bin/a", "go/VERSION"
	for name, test := range map[string]struct {
		forge func(t *testing.T, current string, was *state)
		file  string
	}{
		"a layer of no bundle": {func(t *testing.T, current string, was *state) {
			if err := create(filepath.Join(current, foreign)); err != nil {
				t.Fatal(err)
			}
			was.Layers[digest.FromString("x")] = stateLayer{Name: "example.com/evil@v1.0.0", Files: []stateFile{stateOf(t, current, foreign)}}
		}, foreign},
		"a file that all may write": {func(t *testing.T, current string, was *state) {
			if err := os.Chmod(filepath.Join(current, tool), 0o777); err != nil {
				t.Fatal(err)
			}
			was.replace(stateOf(t, current, tool))
		}, tool},
		"a link to the same bytes": {func(t *testing.T, current string, was *state) {
			file := filepath.Join(current, license)
			if err := errors.Join(os.Rename(file, file+".lock"), os.Symlink("VERSION.lock", file)); err != nil {
				t.Fatal(err)
			}
			was.replace(stateOf(t, current, license))
			was.Common = append(was.Common, stateOf(t, current, license+".lock"))
		}, license},
		"a directory that all may write to": {func(t *testing.T, current string, _ *state) {
			if err := os.Chmod(filepath.Join(current, "go/bin"), 0o777); err != nil {
				t.Fatal(err)
			}
		}, "go/bin"},
		"another title": {func(_ *testing.T, _ string, was *state) { was.Bundles[0].Version = "v9" }, genState},
		"a file twice": {func(_ *testing.T, _ string, was *state) {
			for d, l := range was.Layers {
				l.Files = append(l.Files, l.Files[0])
				was.Layers[d] = l
			}
		}, genState},
		"a bundle twice": {func(_ *testing.T, _ string, was *state) {
			was.Bundles = append(was.Bundles, was.Bundles[0])
		}, genState},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpackTest(t, s, dir, false)
			current := filepath.Join(dir, "current")
			was, err := readState(current)
			if err != nil {
				t.Fatal(err)
			}
			test.forge(t, current, &was)
			data, err := json.Marshal(was)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(current, genState), data, 0o644); err != nil {
				t.Fatal(err)
			}
			names := func(p FileProblem) bool { return p.File == test.file }
			if problems := readStatus(t, dir).Problems; !slices.ContainsFunc(problems, names) {
				t.Errorf("problems %v, want one of %s", problems, test.file)
			}
			unpackTest(t, s, dir, false)
			if s := readStatus(t, dir); len(s.Problems) > 0 {
				t.Errorf("after unpacking again: %v", s.Problems)
			}
		})
	}
}

func stateOf(t *testing.T, current, name string) stateFile {
	t.Helper()
	info, err := os.Lstat(filepath.Join(current, name))
	if err != nil {
		t.Fatal(err)
	}
	return fileState(name, info)
}

// replace says of a file of a layer that it is as f.
func (s *state) replace(f stateFile) {
	for _, l := range s.Layers {
		for i := range l.Files {
			if l.Files[i].Name == f.Name {
				l.Files[i] = f
			}
		}
	}
}

// What is known of a bundle is remembered, also when it is mended or added to, and renewed where more is known.
func TestStatusSignatures(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, false)
	if b := readStatus(t, dir).Bundles; len(b) != 1 || b[0].Signatures != nil || b[0].Time.IsZero() {
		t.Fatalf("bundles %+v", b)
	}
	v := verifyTest(t, s)
	v.Signatures = []Signature{{Key: "release.pub", KeyID: digest.FromString("x").Encoded(), Claims: map[string]string{ClaimName: "example.org/app", ClaimSequence: "7"}}}
	if _, err := Unpack(t.Context(), alone(v), dir, UnpackOptions{Platform: linux}); err != nil {
		t.Fatal(err)
	}
	unpackTest(t, s, dir, false) // of which nobody knows who made it
	other := captured(t)
	other.Modules[1] = testModule(t, t.TempDir(), "example.com/tool", "v1.0.0")
	s2, _ := packTest(t, other, t.TempDir())
	if _, err := Unpack(t.Context(), alone(verifyTest(t, s2)), dir, UnpackOptions{Platform: linux, Add: true}); err != nil {
		t.Fatal(err)
	}
	for _, b := range readStatus(t, dir).Bundles {
		if b.Digest == v.Index.Digest && (b.Sequence != 7 || len(b.Signatures) != 1 || b.Signatures[0].Key != "release.pub") {
			t.Errorf("bundle %+v, want its signature and sequence", b)
		}
	}
}
