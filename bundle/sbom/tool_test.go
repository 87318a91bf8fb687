package sbom

import (
	"bytes"
	"slices"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
)

// A tool is there once a platform, with what it was built of.
func TestTools(t *testing.T) {
	c := testContent()
	for _, platform := range []string{"linux/amd64", "windows/arm64"} {
		c.Tools = append(c.Tools, Tool{Package: "example.com/upper/cmd/up", Platform: platform, Module: c.Modules[1], BuiltOf: c.Modules[:2]})
	}
	want := []string{
		"pkg:golang/example.com/upper@v1.0.0?goarch=amd64&goos=linux#cmd/up",
		"pkg:golang/example.com/upper@v1.0.0?goarch=arm64&goos=windows#cmd/up",
	}
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(written(t, c.WriteCycloneDX)), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	for i, purl := range want {
		if m := (*bom.Components)[len(c.Modules)+i]; m.PackageURL != purl || m.Type != cdx.ComponentTypeApplication {
			t.Errorf("component %+v, want %s", m, purl)
		}
		if d := (*bom.Dependencies)[i]; d.Ref != purl || !slices.Equal(*d.Dependencies, testPURLs[:2]) {
			t.Errorf("dependencies of %s: %q", d.Ref, *d.Dependencies)
		}
	}

	doc, err := spdxjson.Read(bytes.NewReader(written(t, c.WriteSPDX)))
	if err != nil {
		t.Fatal(err)
	}
	var got, links []string
	for _, p := range doc.Packages {
		if p.PackageName == c.Tools[0].Package {
			got = append(got, p.PackageExternalReferences[0].Locator)
		}
	}
	for _, r := range doc.Relationships {
		if r.Relationship == "STATIC_LINK" {
			links = append(links, string(r.RefA.ElementRefID+" "+r.RefB.ElementRefID))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("package URLs %q, want %q", got, want)
	}
	if want := []string{"Tool-1 Module-1", "Tool-1 Module-2", "Tool-2 Module-1", "Tool-2 Module-2"}; !slices.Equal(links, want) {
		t.Errorf("links %q, want %q", links, want)
	}
}
