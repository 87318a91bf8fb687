package bundle

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci"
)

// severalToolchains is a capture with three Go versions for each of the platforms.
func severalToolchains(t testing.TB, platforms ...gomod.Platform) *gomod.Captured {
	t.Helper()
	c := captured(t)
	c.Toolchains = nil
	for _, v := range []string{"go1.26.8", "go1.24.13", "go1.22.12"} {
		for _, p := range platforms {
			c.Toolchains = append(c.Toolchains, testToolchain(t, t.TempDir(), v, p))
		}
	}
	return c
}

const (
	go122 = "v0.0.1-go1.22.12.linux-amd64"
	go124 = "v0.0.1-go1.24.13.linux-amd64"
	go126 = "v0.0.1-go1.26.8.linux-amd64"
)

// The further toolchains stand behind GOROOT's, in their own platform's manifest only.
func TestPackSeveralToolchains(t *testing.T) {
	s, _ := packTest(t, severalToolchains(t, linuxARM, linux), t.TempDir())
	v := verifyTest(t, s)
	report, err := v.Check(t.Context())
	if err != nil || report.Toolchains != 6 || report.Modules != 2 {
		t.Fatalf("Check = %+v, %v, want 6 toolchains and 2 modules", report, err)
	}
	for _, p := range v.Platforms {
		var names, kinds []string
		for _, l := range p.Layers[:4] {
			names = append(names, layerName(l))
			kinds = append(kinds, l.MediaType)
		}
		want := []string{"example.com/Upper/sub@v1.2.0"}
		for _, v := range []string{"go1.24.13", "go1.22.12", "go1.26.8"} {
			want = slices.Insert(want, 0, toolchainPath+"@"+toolchain.ModuleVersion(v, p.OS, p.Arch))
		}
		if !slices.Equal(names, want) || !slices.Equal(kinds, []string{mediaTypeTarGzip, mediaTypeTar, mediaTypeTar, mediaTypeTar}) {
			t.Errorf("%s has the layers %q (%q), want %q", p, names, kinds, want)
		}
	}
	info, err := Inspect(t.Context(), s, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Platforms[0].Toolchains; !slices.Equal(got, []string{toolchainPath + "@" + go126, toolchainPath + "@" + go122, toolchainPath + "@" + go124}) {
		t.Errorf("Inspect: toolchains %q", got)
	}
	if got := info.Annotations[ocispec.AnnotationDescription]; got != "2 Go modules and the toolchains go1.22.12, go1.24.13, go1.26.8" {
		t.Errorf("description %q", got)
	}
	if info.Annotations[AnnotationToolchain] != "go1.26.8" || len(info.Modules) != 2 || len(info.Toolchains) != 6 {
		t.Errorf("Inspect = %+v", info)
	}
}

// The tree answers what the go command asks before it switches, has every zip, and tells the go
// command that it may.
func TestUnpackSeveralToolchains(t *testing.T) {
	s, _ := packTest(t, severalToolchains(t, linux, linuxARM), t.TempDir())
	dir := t.TempDir()
	u := unpackTest(t, s, dir, false)
	if u.Modules != 2 || u.GoVersion != "go1.26.8" {
		t.Errorf("Unpack = %+v", u)
	}
	v := verifyTest(t, s)
	sums := make(map[string]string)
	for _, l := range v.Platforms[0].Layers {
		sums[layerName(l)] = l.Annotations[AnnotationSum]
	}
	download := filepath.Join(dir, "current/mod/cache/download", toolchainPath, "@v")
	for _, version := range []string{go122, go124, go126} {
		zip, err := os.ReadFile(filepath.Join(download, version+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		m := module.Version{Path: toolchainPath, Version: version}
		checkZip(t, m, zip, sums[m.String()])
	}
	env, err := os.ReadFile(filepath.Join(dir, "current/go/go.env"))
	if err != nil || !strings.Contains(string(env), "\nGOTOOLCHAIN=auto\n") {
		t.Errorf("go.env = %s, %v", env, err)
	}
	list, err := os.ReadFile(filepath.Join(download, "list"))
	if err != nil || len(strings.Fields(string(list))) != 6 {
		t.Errorf("list = %q, %v, want 6 versions", list, err)
	}
	if u := unpackTest(t, s, dir, false); u.Linked != 5 || u.Written != 0 {
		t.Errorf("again: %+v, want all linked", u)
	}
}

// On every platform the go command asks whether there is a toolchain for linux/amd64.
func TestUnpackToolchainsOfOtherPlatform(t *testing.T) {
	s, _ := packTest(t, severalToolchains(t, linuxARM), t.TempDir())
	dir := t.TempDir()
	if _, err := Unpack(t.Context(), alone(verifyTest(t, s)), dir, UnpackOptions{Platform: linuxARM}); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{go122, go124, go126} {
		name := filepath.Join(dir, "current/mod/cache/download", toolchainPath, "@v", version+".info")
		if data, err := os.ReadFile(name); err != nil || !bytes.Equal(data, toolchain.Info(version)) {
			t.Errorf("%s = %s, %v", name, data, err)
		}
	}
}

// A shared module cache has toolchains that can be run at once, by users who may not write to it.
func TestUnpackExtractToolchain(t *testing.T) {
	s, _ := packTest(t, severalToolchains(t, linux), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, true)
	extracted := filepath.Join(dir, "current/mod", toolchainPath+"@"+go124)
	for name, want := range map[string]os.FileMode{"bin/go": 0o755, "src/go.mod": 0o644, "src/_go.mod": 0o444, "VERSION": 0o444} {
		info, err := os.Stat(filepath.Join(extracted, name))
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, want)
		}
	}
	if u := unpackTest(t, s, dir, true); u.Linked != 5 || u.Written != 0 {
		t.Errorf("again: %+v, want all linked", u)
	}
}

// A zip that was given back and touched is written again, and so is one that is not there yet.
func TestUnpackGivesBackAgain(t *testing.T) {
	s, _ := packTest(t, captured(t), t.TempDir())
	dir := t.TempDir()
	unpackTest(t, s, dir, false)
	name := filepath.Join(dir, "current/mod/cache/download", toolchainPath, "@v", go126+".zip")
	for what, edit := range map[string]func() error{
		"touched":        func() error { return os.WriteFile(name, []byte("forged"), 0o644) },
		"of an older us": func() error { return withoutZip(filepath.Join(dir, "current"), go126) },
	} {
		if err := edit(); err != nil {
			t.Fatal(err)
		}
		if u := unpackTest(t, s, dir, false); u.Linked != 2 {
			t.Errorf("%s: %+v, want two layers linked", what, u)
		}
		zip, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		checkZip(t, module.Version{Path: toolchainPath, Version: go126}, zip, verifyTest(t, s).Platforms[0].Layers[0].Annotations[AnnotationSum])
	}
}

// withoutZip makes a generation one in which no zip was given back.
func withoutZip(current, version string) error {
	name := filepath.Join(current, genState)
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(current, genDownload, toolchainPath, "@v", version+".zip")); err != nil {
		return err
	}
	return os.WriteFile(name, bytes.ReplaceAll(data, []byte(`"goroot":true,`), nil), 0o644)
}

// Toolchains that are not each in their one place are refused.
func TestForgedToolchains(t *testing.T) {
	swap := func(f *forgery, i, j int) {
		l, d := f.manifest.Layers, f.image.RootFS.DiffIDs
		l[i], l[j], d[i], d[j] = l[j], l[i], d[j], d[i]
	}
	remove := func(f *forgery, i int) {
		f.manifest.Layers = slices.Delete(f.manifest.Layers, i, i+1)
		f.image.RootFS.DiffIDs = slices.Delete(f.image.RootFS.DiffIDs, i, i+1)
	}
	for _, test := range []struct {
		name string
		edit func(t *testing.T, f *forgery)
		want string
	}{
		{"not in the order of versions", func(_ *testing.T, f *forgery) { swap(f, 1, 2) }, "stands where it does not belong"},
		{"behind a module", func(_ *testing.T, f *forgery) { swap(f, 2, 3) }, "stands where it does not belong"},
		{"without GOROOT", func(_ *testing.T, f *forgery) { remove(f, 0) }, "stands where it does not belong"},
		{"a missing one", func(_ *testing.T, f *forgery) { remove(f, 1) }, "has 2 toolchain layers, the bundle's record 3"},
		{"GOROOT's version again", func(t *testing.T, f *forgery) {
			f.manifest.Layers[1].Annotations = f.manifest.Layers[0].Annotations
		}, "stands twice"},
		{"for another platform", func(_ *testing.T, f *forgery) {
			f.manifest.Layers[1].Annotations[AnnotationModule] = toolchainPath + "@v0.0.1-go1.22.12.linux-arm64"
		}, "is not a toolchain for linux/amd64"},
		{"of no version", func(_ *testing.T, f *forgery) {
			f.manifest.Layers[1].Annotations[AnnotationModule] = toolchainPath + "@v1.0.0"
		}, "is not a toolchain for linux/amd64"},
		{"GOROOT of another version than is said", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.GoVersion = "go1.24.13" })
		}, "the bundle's record that of " + go124},
		{"among the modules", func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) {
				r.Modules, r.Toolchains = append(r.Modules, r.Toolchains[0]), r.Toolchains[1:]
			})
		}, "is among the modules"},
		{"another go.mod file", func(t *testing.T, f *forgery) {
			f.replaceModule(t, 1, toolchain.Info(go122), []byte("module golang.org/toolchain\n\ngo 1.99\n"), f.zip(t, 1))
		}, "is not the one that goferry writes"},
		{"another .info file", func(t *testing.T, f *forgery) {
			info := []byte(`{"Version":"` + go122 + `","Time":"2026-01-02T03:04:05Z"}`)
			f.replaceModule(t, 1, info, []byte(toolchain.GoMod), f.zip(t, 1))
		}, "is not the one that goferry writes"},
		{"another zip", func(t *testing.T, f *forgery) {
			evil := makeZip(t, zipFile{toolchainPath + "@" + go122 + "/bin/go", "evil"})
			f.replaceModule(t, 1, toolchain.Info(go122), []byte(toolchain.GoMod), evil)
		}, "the zip has the sum"},
		{"a list with one version more", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) {
				files[downloadDir+toolchainPath+"/@v/list"] = []byte("v0.0.1-go1.99.0.linux-amd64\n")
			})
		}, "is not what the modules say"},
		{"the .info file of one that is not there", func(t *testing.T, f *forgery) {
			f.editGraph(t, func(files map[string][]byte) {
				files[downloadDir+toolchainPath+"/@v/v0.0.1-go1.99.0.linux-amd64.info"] = toolchain.Info("v0.0.1-go1.99.0.linux-amd64")
			})
		}, "does not belong there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newForgeryOf(t, severalToolchains(t, linux))
			test.edit(t, f)
			f.refused(t, test.want)
		})
	}
}

// Of several bundles' Go versions the newest is GOROOT, and the others are there to be switched to:
// also the one that was GOROOT until a newer one was added.
func TestUnpackNewestToolchain(t *testing.T) {
	c := captured(t)
	c.Toolchains, c.GoVersion = []gomod.Toolchain{testToolchain(t, t.TempDir(), "go1.24.13", linux)}, "go1.24.13"
	older, _ := packTest(t, c, t.TempDir())
	c = captured(t)
	c.Toolchains = []gomod.Toolchain{testToolchain(t, t.TempDir(), "go1.26.8", linux), testToolchain(t, t.TempDir(), "go1.24.13", linux)}
	newer, _ := packTest(t, c, t.TempDir())
	bundles := func(stores ...oci.Store) (list []SiteBundle) {
		for _, s := range stores {
			list = append(list, SiteBundle{"bundle", verifyTest(t, s)})
		}
		return list
	}
	for name, run := range map[string]func(dir string) (*Unpacked, error){
		"together": func(dir string) (*Unpacked, error) {
			return Unpack(t.Context(), bundles(older, newer), dir, UnpackOptions{Platform: linux})
		},
		"one after the other": func(dir string) (*Unpacked, error) {
			unpackTest(t, older, dir, false)
			return Unpack(t.Context(), bundles(newer), dir, UnpackOptions{Platform: linux, Add: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			u, err := run(dir)
			if err != nil || u.GoVersion != "go1.26.8" {
				t.Fatalf("Unpack = %+v, %v, want go1.26.8", u, err)
			}
			version, err := os.ReadFile(filepath.Join(dir, "current/go/VERSION"))
			if err != nil || string(version) != "go1.26.8\n" {
				t.Errorf("GOROOT/VERSION = %q, %v", version, err)
			}
			for _, l := range append(verifyTest(t, older).Platforms[0].Layers[:1], verifyTest(t, newer).Platforms[0].Layers[:2]...) {
				m, _ := layerModule(l)
				zip, err := os.ReadFile(filepath.Join(dir, "current/mod/cache/download", toolchainPath, "@v", m.Version+".zip"))
				if err != nil {
					t.Fatal(err)
				}
				checkZip(t, m, zip, l.Annotations[AnnotationSum])
			}
			if env, err := Env(dir, Sh); err != nil || !strings.Contains(env, "GOTOOLCHAIN='auto'") {
				t.Errorf("Env = %s, %v", env, err)
			}
		})
	}
}
