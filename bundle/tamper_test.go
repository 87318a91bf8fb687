package bundle

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"

	"github.com/goferry/goferry/bundle/gomod"
)

// A user is somebody who has the go command, an unpacked directory, and nothing else.
type user struct {
	dir     string // what was unpacked
	env     []string
	home    string
	project string
}

// newUser unpacks a bundle with the module example.com/hello, which a checksum database knows, for a
// project that needs it and has no go.sum.
func newUser(t *testing.T) user {
	t.Helper()
	db := newMergeDB(t, "sum.test")
	m := testModule(t, t.TempDir(), "example.com/hello", "v1.0.0")
	sum, err := dirhash.HashZip(m.Zip, dirhash.DefaultHash)
	if err != nil {
		t.Fatal(err)
	}
	modSum, err := goModSum(m.Mod)
	if err != nil {
		t.Fatal(err)
	}
	db.real["example.com/hello@v1.0.0"] = RecordModule{Sum: sum, GoModSum: modSum}
	db.grow(t, "before", 300)
	s := layout(t, t.TempDir())
	c := &gomod.Captured{Modules: []gomod.Module{m}, Env: gomod.GoEnv{GOSUMDB: db.key + " " + db.URL, GOPROXY: "off"}}
	if _, err := packFor(t.Context(), s, c, []gomod.Platform{linux}, ""); err != nil {
		t.Fatal(err)
	}
	unpacked, err := Unpack(t.Context(), alone(verifyTest(t, s)), t.TempDir(), UnpackOptions{Platform: linux})
	if err != nil {
		t.Fatal(err)
	}
	u := user{unpacked.Dir, unpacked.GoEnv, t.TempDir(), t.TempDir()}
	telemetry := filepath.Join(u.home, ".config", "go", "telemetry")
	if err := os.MkdirAll(telemetry, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		// Else the go command leaves a process that writes there when the test has ended.
		filepath.Join(telemetry, "mode"):    "off",
		filepath.Join(u.project, "go.mod"):  "module example.org/app\n\ngo 1.21\n\nrequire example.com/hello v1.0.0\n",
		filepath.Join(u.project, "main.go"): "package main\n\nimport _ \"example.com/hello\"\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

// tidy runs the go command and returns what it says.
func (u user) tidy(t *testing.T) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "tidy")
	cmd.Dir = u.project
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.home, "GOPATH=" + filepath.Join(u.home, "go"), "GOFLAGS=-modcacherw", "GOENV=off"}, u.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// download is where the files of the tree are.
func (u user) download(name string) string {
	return filepath.Join(u.dir, "current", filepath.FromSlash(genDownload+name))
}

// cache is where the go command has its own.
func (u user) cache(name string) string {
	return filepath.Join(u.home, "go/pkg/mod/cache/download", filepath.FromSlash(name))
}

const helloFiles = "example.com/hello/@v/v1.0.0"

// What somebody changed in an unpacked directory the go command refuses by itself, whatever lies beside
// it, as long as the checksum database is on and was carried.
func TestTamper(t *testing.T) {
	evil := makeZip(t, zipFile{"example.com/hello@v1.0.0/go.mod", "module example.com/hello\n"}, zipFile{"example.com/hello@v1.0.0/x.go", "package evil\n"})
	evilSum, err := zipSum(module.Version{Path: "example.com/hello", Version: "v1.0.0"}, bytes.NewReader(evil), int64(len(evil)))
	if err != nil {
		t.Fatal(err)
	}
	const lookup, tile = "sumdb/sum.test/lookup/example.com/hello@v1.0.0", "sumdb/sum.test/tile/8/0/001.p/45"
	for _, test := range []struct {
		name   string
		tamper func(t *testing.T, u user)
		want   string
	}{
		{"nothing", func(*testing.T, user) {}, ""},
		{"a zip", func(t *testing.T, u user) { put(t, u.download(helloFiles+".zip"), evil) }, "SECURITY ERROR"},
		{"a zip and its .ziphash", func(t *testing.T, u user) {
			put(t, u.download(helloFiles+".zip"), evil)
			put(t, u.download(helloFiles+".ziphash"), []byte(evilSum))
		}, "SECURITY ERROR"},
		{"a zip with the .ziphash of the good one", func(t *testing.T, u user) {
			good, _ := os.ReadFile(u.download(helloFiles + ".zip"))
			sum, err := zipSum(module.Version{Path: "example.com/hello", Version: "v1.0.0"}, bytes.NewReader(good), int64(len(good)))
			if err != nil {
				t.Fatal(err)
			}
			put(t, u.download(helloFiles+".zip"), evil)
			put(t, u.download(helloFiles+".ziphash"), []byte(sum))
		}, "SECURITY ERROR"},
		{"a zip and its .ziphash in the module cache", func(t *testing.T, u user) {
			put(t, u.cache(helloFiles+".zip"), evil)
			put(t, u.cache(helloFiles+".ziphash"), []byte(evilSum))
		}, "SECURITY ERROR"},
		{"a go.mod file", func(t *testing.T, u user) {
			put(t, u.download(helloFiles+".mod"), []byte("module example.com/hello\n\ngo 1.20\n"))
		}, "SECURITY ERROR"},
		{"the sum in a lookup", func(t *testing.T, u user) {
			edit(t, u.download(lookup), func(s string) string { return strings.Replace(s, "h1:", "h1:A", 1) })
		}, "cannot authenticate record data"},
		{"the tree head of a lookup", func(t *testing.T, u user) {
			edit(t, u.download(lookup), func(s string) string { return strings.Replace(s, "\n301\n", "\n302\n", 1) })
		}, "invalid signature"},
		{"a lookup that is gone", func(t *testing.T, u user) { remove(t, u.download(lookup)) }, "no such file"},
		{"a tile", func(t *testing.T, u user) {
			edit(t, u.download(tile), func(s string) string { return string([]byte{s[0] ^ 1}) + s[1:] })
		}, "inconsistent tile"},
		{"a tile that is gone", func(t *testing.T, u user) { remove(t, u.download(tile)) }, "tile/8/0/001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := newUser(t)
			test.tamper(t, u)
			out, err := u.tidy(t)
			if test.want == "" {
				if err != nil {
					t.Errorf("go mod tidy: %v\n%s", err, out)
				}
				return
			}
			if err == nil || !strings.Contains(out, test.want) {
				t.Errorf("go mod tidy: %v, want it to say %q\n%s", err, test.want, out)
			}
		})
	}
}

func put(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file, and fails if that changes nothing.
func edit(t *testing.T, name string, change func(string) string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := []byte(change(string(data)))
	if slices.Equal(data, changed) {
		t.Fatalf("%s is %q", name, data)
	}
	put(t, name, changed)
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}
