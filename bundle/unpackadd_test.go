package bundle

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goferry/goferry/bundle/gomod"
)

func unpackAll(t *testing.T, dir string, opts UnpackOptions, bundles ...SiteBundle) (*Unpacked, error) {
	t.Helper()
	opts.Platform = linux
	return Unpack(t.Context(), bundles, dir, opts)
}

// What was added is the same as what was unpacked together, extracted or not.
func TestUnpackAdd(t *testing.T) {
	one, two := siteBundles(t)
	for _, extract := range []bool{false, true} {
		together, added := t.TempDir(), t.TempDir()
		opts := UnpackOptions{Extract: extract}
		if _, err := unpackAll(t, together, opts, one, two); err != nil {
			t.Fatal(err)
		}
		if _, err := unpackAll(t, added, opts, one); err != nil {
			t.Fatal(err)
		}
		u, err := unpackAll(t, added, UnpackOptions{Add: true}, two)
		if err != nil {
			t.Fatal(err)
		}
		if b := u.Bundles; u.Linked != 3 || len(b) != 2 || b[0].Digest != two.Index.Digest || b[1].Name != "one" || b[1].Digest != one.Index.Digest {
			t.Errorf("extract %v: added %+v, want 3 layers linked, and the bundles two and one", extract, u)
		}
		if got, want := treeOf(t, filepath.Join(added, "current")), treeOf(t, filepath.Join(together, "current")); !slices.Equal(got, want) {
			t.Errorf("extract %v: added:\n%s\ntogether:\n%s", extract, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		again, err := unpackAll(t, added, UnpackOptions{Add: true}, one)
		if err != nil || again.Generation != u.Generation || again.Written != 0 {
			t.Errorf("extract %v: again: %+v, %v, want nothing done", extract, again, err)
		}
	}
}

// What is there is taken over only if it is what was unpacked.
func TestUnpackAddRefuses(t *testing.T) {
	one, two := siteBundles(t)
	current := func(name string) func(dir string) string {
		return func(dir string) string { return filepath.Join(dir, "current", filepath.FromSlash(name)) }
	}
	kept := func(d string) func(dir string) string {
		return current("bundles/blobs/sha256/" + strings.TrimPrefix(d, "sha256:"))
	}
	layers := one.Platforms[0].Layers
	for name, test := range map[string]struct {
		file func(dir string) string
		says string
	}{
		"a zip":         {current("mod/cache/download/example.com/!upper/sub/@v/v1.2.0.zip"), "example.com/Upper/sub@v1.2.0"},
		"a .mod file":   {current("mod/cache/download/example.com/!upper/sub/@v/v1.2.0.mod"), "example.com/Upper/sub@v1.2.0"},
		"the toolchain": {current("go/bin/go"), "golang.org/toolchain@"},
		"an index":      {kept(one.Index.Digest.String()), "index"},
		"a manifest":    {kept(one.Platforms[0].Manifest.Digest.String()), "manifest"},
		"the graph":     {kept(layers[len(layers)-1].Digest.String()), "module graph"},
	} {
		for way, spoil := range map[string]func(file string) error{
			"touched": func(file string) error {
				data, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				data[len(data)/2] ^= 1
				return os.WriteFile(file, data, 0o644)
			},
			"gone": os.Remove,
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				dir := t.TempDir()
				if _, err := unpackAll(t, dir, UnpackOptions{}, one); err != nil {
					t.Fatal(err)
				}
				if err := spoil(test.file(dir)); err != nil {
					t.Fatal(err)
				}
				before := treeOf(t, dir)
				_, err := unpackAll(t, dir, UnpackOptions{Add: true}, two)
				if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "one") {
					t.Errorf("Unpack: %v, want ErrMismatch that names %q and the bundle", err, test.says)
				}
				if after := treeOf(t, dir); !slices.Equal(before, after) {
					t.Errorf("the directory changed:\n%s\nwas:\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
				}
			})
		}
	}
}

// A directory cannot become what it is not.
func TestUnpackAddElsewhere(t *testing.T) {
	one, two := siteBundles(t)
	dir := t.TempDir()
	if _, err := unpackAll(t, dir, UnpackOptions{Add: true}, one); err != nil {
		t.Fatalf("to nothing: %v", err)
	}
	if _, err := unpackAll(t, dir, UnpackOptions{Add: true, Extract: true}, two); err == nil || !strings.Contains(err.Error(), "no extracted modules") {
		t.Errorf("extracted to what is not: %v", err)
	}
	arm := UnpackOptions{Add: true, Platform: gomod.Platform{OS: "linux", Arch: "arm64"}}
	if _, err := Unpack(t.Context(), []SiteBundle{one}, dir, arm); err == nil || !strings.Contains(err.Error(), "is for linux/amd64") {
		t.Errorf("another platform: %v", err)
	}
	name := filepath.Join(dir, "current", "state.json")
	var s map[string]any
	data, err := os.ReadFile(name)
	if err != nil || json.Unmarshal(data, &s) != nil {
		t.Fatal(err)
	}
	delete(s, "bundles")
	if data, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	put(t, name, data)
	if _, err := unpackAll(t, dir, UnpackOptions{Add: true}, two); err == nil || !strings.Contains(err.Error(), "older goferry") {
		t.Errorf("to what an older goferry left: %v", err)
	}
}

// A state that somebody has written leads to no file outside, and to no harm.
func TestUnpackForgedState(t *testing.T) {
	one, two := siteBundles(t)
	for _, prefix := range []string{"/", "../", "./", "mod/../../", "x/../"} {
		dir := t.TempDir()
		u, err := unpackAll(t, dir, UnpackOptions{}, one)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(u.Dir, "current", "state.json")
		var s state
		data, err := os.ReadFile(name)
		if err != nil || json.Unmarshal(data, &s) != nil {
			t.Fatal(err)
		}
		for _, l := range s.Layers {
			for i := range l.Files {
				l.Files[i].Name = prefix + l.Files[i].Name
			}
		}
		if data, err = json.Marshal(s); err != nil {
			t.Fatal(err)
		}
		put(t, name, data)
		again, err := unpackAll(t, dir, UnpackOptions{}, one, two)
		if err != nil || again.Linked != 0 {
			t.Errorf("names with %q: %+v, %v, want all unpacked anew", prefix, again, err)
		}
	}
}

// Two layers can have one sum, and yet other files: the same one is taken whatever the order.
func TestUnpackChooses(t *testing.T) {
	one, _ := siteBundles(t)
	c := captured(t)
	c.Modules[0].Info = []byte(`{"Version":"v1.2.0","Time":"2026-01-02T03:04:05Z"}`)
	s, _ := packTest(t, c, t.TempDir())
	other := SiteBundle{"other", verifyTest(t, s)}
	var infos []string
	for _, bundles := range [][]SiteBundle{{one, other}, {other, one}} {
		dir := t.TempDir()
		if _, err := unpackAll(t, dir, UnpackOptions{}, bundles...); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"@latest", "@v/v1.2.0.info"} {
			data, err := os.ReadFile(filepath.Join(dir, "current/mod/cache/download/example.com/!upper/sub", name))
			if err != nil {
				t.Fatal(err)
			}
			infos = append(infos, string(data))
		}
		infos = append(infos, string(readSite(t, openSite(t, bundles...), "example.com/!upper/sub/@latest")))
	}
	if len(slices.Compact(infos)) != 1 {
		t.Errorf("the answers are %q", infos)
	}
}
