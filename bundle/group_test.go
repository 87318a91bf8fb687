package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// capturedMany is what a capture of a project with n modules gives, two versions of one among them.
func capturedMany(t testing.TB, n int) *gomod.Captured {
	t.Helper()
	dir := t.TempDir()
	c := &gomod.Captured{Env: gomod.GoEnv{GOSUMDB: "off"}}
	c.Toolchains = []gomod.Toolchain{testToolchain(t, dir, "go1.26.8", linux)}
	c.GoVersion = "go1.26.8"
	for i := range n - 1 {
		c.Modules = append(c.Modules, testModule(t, dir, fmt.Sprintf("example.com/m%03d", i), "v1.0.0"))
	}
	c.Modules = slices.Insert(c.Modules, 1, testModule(t, dir, "example.com/m000", "v1.9.0"))
	return c
}

// packBudget packs a capture within a layer budget.
func packBudget(t testing.TB, s oci.Store, c *gomod.Captured, budget int, cacheDir string) Packed {
	t.Helper()
	p := newPacker(s, c, toolchainPlatforms(c), cacheDir)
	p.opts.LayerBudget = budget
	defer p.proofs.save()
	err := errors.Join(p.checkBudget(), p.begin())
	if err != nil {
		t.Fatal(err)
	}
	packed, err := p.write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// A bundle with groups has the same modules as one without, is proven as that is, and gives the same files.
func TestGroups(t *testing.T) {
	c := capturedMany(t, 30)
	alone, grouped := layout(t, t.TempDir()), layout(t, t.TempDir())
	packBudget(t, alone, c, 0, "")
	packed := packBudget(t, grouped, c, 12, "")
	if !packed.Runnable || packed.Layers > 12 || packed.Modules != 30 {
		t.Errorf("packed = %+v, want 30 modules in at most 12 layers of an image", packed)
	}
	v := verifyTest(t, grouped)
	if !slices.ContainsFunc(v.Platforms[0].Layers, func(l ocispec.Descriptor) bool { return layerKind(l) == kindGroup }) {
		t.Fatal("no layer is a group")
	}
	report, err := v.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Modules != 30 || report.Toolchains != 1 {
		t.Errorf("Check proved %d modules and %d toolchains, want 30 and 1", report.Modules, report.Toolchains)
	}
	if a, b := modulesOf(verifyTest(t, alone).Info()), modulesOf(v.Info()); !slices.Equal(a, b) {
		t.Errorf("inspect lists %v, without groups %v", b, a)
	}
	if d := Diff(listOf(t, alone), listOf(t, grouped)); d.Listed() {
		t.Errorf("Diff finds other modules: %+v", d)
	}
	if a, b := unpackedFiles(t, alone), unpackedFiles(t, grouped); !maps.Equal(a, b) {
		t.Error("what is unpacked is not the same with groups and without")
	}
}

func modulesOf(info *Info) (names []string) {
	for _, m := range info.Modules {
		names = append(names, m.Module+" "+m.Sum)
	}
	return names
}

func listOf(t *testing.T, s oci.Store) *Listing {
	t.Helper()
	l, err := ListBundle(t.Context(), s, "v1", false)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// unpackedFiles returns the files of the GOPROXY tree that a bundle becomes.
func unpackedFiles(t *testing.T, s oci.Store) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if _, err := Unpack(t.Context(), alone(verifyTest(t, s)), dir, UnpackOptions{Platform: linux}); err != nil {
		t.Fatal(err)
	}
	return treeFiles(t, filepath.Join(dir, linkCurrent, filepath.FromSlash(genDownload)))
}

func treeFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir+"/", func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		files[strings.TrimPrefix(name, dir)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A store that must be told the digest first gets the same bundle.
func TestGroupsMeasured(t *testing.T) {
	c := capturedMany(t, 30)
	ingested := packBudget(t, layout(t, t.TempDir()), c, 12, "")
	s := layout(t, t.TempDir())
	if measured := packBudget(t, struct{ oci.Store }{s}, c, 12, ""); measured.Descriptor.Digest != ingested.Descriptor.Digest {
		t.Errorf("measured %s, ingested %s", measured.Descriptor.Digest, ingested.Descriptor.Digest)
	}
	if _, err := verifyTest(t, s).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// What was proven of a module alone is proven of it in a group, and the other way round.
func TestGroupsRemember(t *testing.T) {
	c, cache := capturedMany(t, 10), t.TempDir()
	for _, budgets := range [][2]int{{0, 5}, {5, 0}} {
		packBudget(t, layout(t, t.TempDir()), c, budgets[0], cache)
		s := layout(t, t.TempDir())
		packBudget(t, s, c, budgets[1], "")
		v, err := Verify(t.Context(), s, "v1", VerifyOptions{CacheDir: cache})
		if err != nil {
			t.Fatal(err)
		}
		report, err := v.Check(t.Context())
		if err != nil || report.Remembered != 11 {
			t.Errorf("budget %d after %d: %d proofs remembered, %v, want 10 modules and a toolchain", budgets[1], budgets[0], report.Remembered, err)
		}
	}
}

// A site has the zips of groups, from a file and from a place that is read once.
func TestGroupsSite(t *testing.T) {
	c := capturedMany(t, 12)
	layoutStore := layout(t, t.TempDir())
	packBudget(t, layoutStore, c, 5, "")
	for place, store := range map[string]oci.Store{"layout": layoutStore, "registry": streamStore{layoutStore}} {
		b := SiteBundle{place, verifyTest(t, store)}
		s := openSite(t, b)
		next, err := OpenSite(t.Context(), []SiteBundle{b}, SiteOptions{Previous: s})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.Modules {
			want, err := os.ReadFile(m.Zip)
			if err != nil {
				t.Fatal(err)
			}
			name := m.Path + "/@v/" + m.Version
			for _, s := range []*Site{s, next} {
				if !bytes.Equal(readSite(t, s, name+".zip"), want) || !bytes.Equal(readSite(t, s, name+".mod"), m.Mod) {
					t.Errorf("%s: %s is not what was packed", place, name)
				}
			}
			f, _ := s.File(name + ".zip")
			if tail := readFrom(t, f, 50); !bytes.Equal(tail, want[50:]) {
				t.Errorf("%s: %s from byte 50 is not what was packed", place, name)
			}
		}
	}
}

func readFrom(t *testing.T, f SiteFile, offset int64) []byte {
	t.Helper()
	r, err := f.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Seek(offset, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Bundles whose layers have the same modules in other groups, or alone, are one tree, at once and one after the other.
func TestGroupsTogether(t *testing.T) {
	c := capturedMany(t, 20)
	var bundles []SiteBundle
	for _, budget := range []int{0, 5, 9, 14} {
		s, some := layout(t, t.TempDir()), *c
		some.Modules = c.Modules[budget/2:] // so that none has all
		packBudget(t, s, &some, budget, "")
		bundles = append(bundles, SiteBundle{fmt.Sprint(budget), verifyTest(t, s)})
	}
	want := unpackTogether(t, t.TempDir(), UnpackOptions{}, bundles...)
	slices.Reverse(bundles)
	if got := unpackTogether(t, t.TempDir(), UnpackOptions{}, bundles...); !maps.Equal(got, want) {
		t.Error("in the other order it is another tree")
	}
	dir := t.TempDir()
	var got map[string]string
	for i, b := range bundles {
		got = unpackTogether(t, dir, UnpackOptions{Add: i > 0}, b)
	}
	if !maps.Equal(got, want) {
		t.Error("added one by one it is another tree")
	}
	if _, err := RepairUnpacked(t.Context(), dir, nil, true, nil); err != nil {
		t.Errorf("what is unpacked is called damaged: %v", err)
	}
	s := openSite(t, bundles...)
	for name := range s.files {
		if f, _ := s.File(name); f.Size >= 0 && !bytes.Equal(readSite(t, s, name), []byte(want["/"+name])) {
			t.Errorf("the site's %s is not that of the tree", name)
		}
	}
}

func unpackTogether(t *testing.T, dir string, opts UnpackOptions, bundles ...SiteBundle) map[string]string {
	t.Helper()
	if _, err := unpackAll(t, dir, opts, bundles...); err != nil {
		t.Fatal(err)
	}
	return treeFiles(t, filepath.Join(dir, linkCurrent, filepath.FromSlash(genDownload)))
}

// A directory has a group if it has the files of all its modules. The next bundle takes from it every module that is the
// same, whatever layer it is in, and damage is found and mended by module.
func TestGroupsUnpacked(t *testing.T) {
	c, dir := capturedMany(t, 20), t.TempDir()
	s := layout(t, t.TempDir())
	packBudget(t, s, c, 9, "")
	v := verifyTest(t, s)
	unpackTogether(t, dir, UnpackOptions{Extract: true}, SiteBundle{"one", v})
	receipt, err := UnpackedReceipt(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range v.Platforms[0].Layers {
		if receipt.Blobs[l.Digest] != l.Size {
			t.Errorf("the receipt has not %s", layerName(l))
		}
	}
	group := v.Platforms[0].Layers[slices.IndexFunc(v.Platforms[0].Layers, func(l ocispec.Descriptor) bool { return layerKind(l) == kindGroup })]
	damaged := Members(group)[1]
	m, _ := layerModule(damaged)
	name, err := moduleFile(m, ".mod")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, linkCurrent, genDownload, strings.TrimPrefix(name, downloadDir))
	edit(t, file, func(text string) string { return text + "// changed\n" })
	if receipt, err = UnpackedReceipt(t.Context(), dir); err != nil || receipt.Blobs[group.Digest] != 0 {
		t.Errorf("a module of the group is changed, and the receipt has it (%v)", err)
	}
	did, err := RepairUnpacked(t.Context(), dir, []oci.Store{s}, false, nil)
	if err != nil || len(did.Mended) != 1 || did.Mended[0].Name != layerName(damaged) {
		t.Errorf("RepairUnpacked = %+v, %v, want %s mended", did, err, layerName(damaged))
	}
	regrouped := layout(t, t.TempDir())
	packBudget(t, regrouped, c, 6, "")
	plan, err := PlanUnpack(t.Context(), []SiteBundle{{"two", verifyTest(t, regrouped)}}, dir, UnpackOptions{Platform: linux, Extract: true})
	if err != nil || plan.Layers != 0 || !plan.Changed {
		t.Errorf("PlanUnpack = %+v, %v, want another bundle of the same modules", plan, err)
	}
	u, err := unpackAll(t, dir, UnpackOptions{Extract: true}, SiteBundle{"two", verifyTest(t, regrouped)})
	if err != nil || u.Linked != 21 || u.Written != 0 {
		t.Errorf("the same modules in other groups: %+v, %v, want all linked", u, err)
	}
}

// Bundles that have a module with other .info files, in groups, go together all the same, and what was unpacked first stays.
func TestGroupsOtherInfo(t *testing.T) {
	c, dir := capturedMany(t, 12), t.TempDir()
	for i, budget := range []int{5, 6, 0, 5} {
		some := *c
		some.Modules = slices.Clone(c.Modules)
		for m := range some.Modules {
			some.Modules[m].Info = fmt.Appendf(nil, `{"Version":"%s","Time":"2026-01-0%dT00:00:00Z"}`, some.Modules[m].Version, 1+(i+m)%4)
		}
		s := layout(t, t.TempDir())
		packBudget(t, s, &some, budget, "")
		unpackTogether(t, dir, UnpackOptions{Add: i > 0}, SiteBundle{fmt.Sprint(i), verifyTest(t, s)})
	}
	if did, err := RepairUnpacked(t.Context(), dir, nil, true, nil); err != nil || len(did.Mended) > 0 {
		t.Errorf("RepairUnpacked = %+v, %v, want nothing to mend", did, err)
	}
}

// A group can be read anywhere, as an upload does that goes on after it was cut.
func TestGroupReader(t *testing.T) {
	sources, err := moduleSources(capturedMany(t, 4).Modules)
	if err != nil {
		t.Fatal(err)
	}
	src := groupSource(sources)
	r, err := src.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil || int64(len(all)) != src.size {
		t.Fatalf("the group has %d bytes, %v, want %d", len(all), err, src.size)
	}
	for start := 0; start <= len(all); start += 251 {
		for _, size := range []int{1, 512, 4000, len(all)} {
			got := make([]byte, size)
			n, err := r.(io.ReaderAt).ReadAt(got, int64(start))
			want := all[start:min(start+size, len(all))]
			if !bytes.Equal(got[:n], want) || n < size && err != io.EOF || n == size && err != nil {
				t.Fatalf("ReadAt(%d bytes at %d) = %d, %v, want %d", size, start, n, err, len(want))
			}
		}
	}
}

// A manifest can list tens of thousands of modules in one group, and who lists or misses them all is done at once.
func TestGroupOfMany(t *testing.T) {
	const n = 20_000
	var modules []ocispec.Descriptor
	for i := range n {
		modules = append(modules, ocispec.Descriptor{
			MediaType: mediaTypeTar, Size: tarEnd + tarBlock, Digest: digest.FromString(fmt.Sprint(i)),
			Annotations: map[string]string{AnnotationModule: fmt.Sprintf("a.b/m%05d@v1.0.0", i), AnnotationSum: "h1:"},
		})
	}
	group := ocispec.Descriptor{
		MediaType: mediaTypeTar, Size: tarEnd + n*tarBlock, Digest: digest.FromString("group"),
		Annotations: map[string]string{AnnotationGroup: groupAnnotation(modules)},
	}
	v := &Verified{Platforms: []Platform{{Platform: linux, Layers: []ocispec.Descriptor{group}}}, store: layout(t, t.TempDir())}
	if info := v.Info(); len(info.Modules) != n || info.Modules[0].Group != n {
		t.Errorf("%d modules, the first in a group of %d, want %d in one", len(info.Modules), info.Modules[0].Group, n)
	}
	b := SiteBundle{"bundle", v}
	u := &unpacker{bundles: []SiteBundle{b}, tree: &tree{}, layers: make(map[string]siteLayer)}
	for _, l := range b.siteLayers() {
		u.layers[layerName(l.desc)] = l
	}
	if err := u.checkThere(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("checkThere() = %v, want %v", err, ErrIncomplete)
	}
}
