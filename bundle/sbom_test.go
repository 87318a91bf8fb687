package bundle

import (
	"errors"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/sbom"
)

// TestSBOM holds that every zip that the bundle carries is listed, and nothing else.
func TestSBOM(t *testing.T) {
	s, index := packTest(t, captured(t), t.TempDir())
	v := verifyTest(t, s)
	content, err := v.SBOM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if content.Name != "example.com/main" || content.Digest != index.Digest || content.Projects != nil || !content.Created.IsZero() {
		t.Errorf("SBOM() = %+v", content)
	}
	var want []sbom.Module
	info := v.Info()
	for i, l := range slices.Concat(info.Modules, info.Toolchains) {
		path, version, _ := strings.Cut(l.Module, "@")
		want = append(want, sbom.Module{Path: path, Version: version, Sum: l.Sum, NoSumDB: l.NoSumDB, Toolchain: i >= len(info.Modules)})
	}
	if len(want) != 4 || !slices.Equal(content.Modules, want) {
		t.Errorf("modules %+v, want %+v", content.Modules, want)
	}
}

// TestSBOMRefuses holds that nothing is listed of a bundle whose record is not what its manifests say.
func TestSBOMRefuses(t *testing.T) {
	for name, edit := range map[string]func(*testing.T, *forgery){
		"another sum": func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.Modules[1].Sum = r.Toolchains[0].Sum })
		},
		"a module without a layer": func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.Modules[0].Sum = r.Modules[1].Sum })
		},
		"a layer without a module": func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.Modules[1].Sum = "" })
		},
		"no toolchain": func(t *testing.T, f *forgery) {
			f.editRecord(t, func(r *Record) { r.Toolchains, r.GoVersion = nil, "" })
		},
		"a time that is none": func(_ *testing.T, f *forgery) { f.index.Annotations[ocispec.AnnotationCreated] = "\x1b[2J" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newForgery(t)
			edit(t, f)
			f.write(t)
			if content, err := verifyTest(t, f.store).SBOM(t.Context()); !errors.Is(err, ErrMismatch) {
				t.Errorf("SBOM() = %+v, %v, want ErrMismatch", content, err)
			}
		})
	}
}

// TestSBOMTools holds that each tool is listed, with modules that are listed too.
func TestSBOMTools(t *testing.T) {
	s, _ := packTest(t, withTools(t), t.TempDir())
	content, err := verifyTest(t, s).SBOM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(content.Tools) != 4 || content.Tools[0].Module.Sum != toolSum {
		t.Fatalf("tools %+v", content.Tools)
	}
	for _, tool := range content.Tools {
		for _, m := range tool.BuiltOf {
			if m.Path == "" || !slices.Contains(content.Modules, m) {
				t.Errorf("%s is built of %+v, which is not listed", tool.Package, m)
			}
		}
	}
}
