package sbom

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/opencontainers/go-digest"
	spdxjson "github.com/spdx/tools-golang/json"
)

const testSum = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

func testContent() *Content {
	return &Content{
		Name:   "example.com/a, example.com/b",
		Digest: digest.FromString("bundle"),
		Projects: []string{
			"example.com/a", "example.com/b",
		},
		Modules: []Module{
			{Path: "example.com/Upper", Version: "v2.0.0+incompatible", Sum: testSum},
			{Path: "example.com/upper", Version: "v1.0.0", Sum: testSum, NoSumDB: true},
			{Path: "golang.org/toolchain", Version: "v0.0.1-go1.26.8.linux-amd64", Sum: testSum, Toolchain: true},
		},
	}
}

var testPURLs = []string{
	"pkg:golang/example.com/Upper@v2.0.0%2Bincompatible",
	"pkg:golang/example.com/upper@v1.0.0",
	"pkg:golang/golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64",
}

// written returns what a method writes, which is the same every time.
func written(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var first, second bytes.Buffer
	for _, w := range []io.Writer{&first, &second} {
		if err := write(w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Fatalf("written twice:\n%s\n%s", first.Bytes(), second.Bytes())
	}
	return first.Bytes()
}

func TestWriteCycloneDX(t *testing.T) {
	c := testContent()
	data := written(t, c.WriteCycloneDX)
	bom := new(cdx.BOM)
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(bom); err != nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cdx.SpecVersion1_6 || bom.SerialNumber != c.uuid() || bom.Metadata.Timestamp != "" {
		t.Errorf("version %v, serial number %q, time %q", bom.SpecVersion, bom.SerialNumber, bom.Metadata.Timestamp)
	}
	root := bom.Metadata.Component
	if root.Name != c.Name || (*root.Properties)[0].Value != c.Digest.String() || len(*root.Components) != 2 {
		t.Errorf("the root is %+v", root)
	}
	var purls []string
	for _, m := range *bom.Components {
		purls = append(purls, m.PackageURL)
		if m.BOMRef != m.PackageURL || (*m.Properties)[0] != (cdx.Property{Name: "dev.goferry.sum", Value: testSum}) {
			t.Errorf("component %+v", m)
		}
		if m.Hashes != nil {
			t.Errorf("%s has hashes, and an h1: sum is none", m.Name)
		}
		if noSumDB := len(*m.Properties) == 2; noSumDB != (m.Name == "example.com/upper") {
			t.Errorf("%s has the properties %v", m.Name, *m.Properties)
		}
		if toolchain := m.Type == cdx.ComponentTypeApplication; toolchain != (m.Name == "golang.org/toolchain") {
			t.Errorf("%s is a %s", m.Name, m.Type)
		}
	}
	if !slices.Equal(purls, testPURLs) {
		t.Errorf("package URLs %q, want %q", purls, testPURLs)
	}
}

func TestWriteSPDX(t *testing.T) {
	c := testContent()
	data := written(t, c.WriteSPDX)
	doc, err := spdxjson.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if doc.SPDXVersion != "SPDX-2.3" || doc.DocumentNamespace != c.uuid() || doc.CreationInfo.Created != "1970-01-01T00:00:00Z" {
		t.Errorf("version %q, namespace %q, time %q", doc.SPDXVersion, doc.DocumentNamespace, doc.CreationInfo.Created)
	}
	var purls []string
	for i, p := range doc.Packages {
		r := doc.Relationships[i]
		if r.RefB.ElementRefID != p.PackageSPDXIdentifier || r.Relationship == "DESCRIBES" != (i == 0) {
			t.Errorf("relationship %+v of %s", r, p.PackageSPDXIdentifier)
		}
		if len(p.PackageChecksums) > 0 || p.FilesAnalyzed {
			t.Errorf("%s has checksums, and an h1: sum is none", p.PackageName)
		}
		for _, ref := range p.PackageExternalReferences {
			purls = append(purls, ref.Locator)
			if p.Annotations[0].AnnotationComment != "dev.goferry.sum="+testSum {
				t.Errorf("annotations of %s: %+v", p.PackageName, p.Annotations)
			}
		}
	}
	if !slices.Equal(purls, testPURLs) || len(doc.Packages) != 3+len(testPURLs) {
		t.Errorf("%d packages, package URLs %q, want %q", len(doc.Packages), purls, testPURLs)
	}
}

func TestCreated(t *testing.T) {
	c := testContent()
	c.Created = time.Date(2026, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	for _, write := range []func(io.Writer) error{c.WriteCycloneDX, c.WriteSPDX} {
		if data := written(t, write); !strings.Contains(string(data), `"2026-01-02T03:04:05Z"`) {
			t.Errorf("no time in %s", data)
		}
	}
}

// TestUUID holds that another bundle has another UUID, and that it is of the version and the variant it says.
func TestUUID(t *testing.T) {
	c := &Content{Digest: digest.Digest("sha256:" + strings.Repeat("01234567", 8))}
	if got, want := c.uuid(), "urn:uuid:01234567-0123-8567-a123-456701234567"; got != want {
		t.Errorf("uuid() = %s, want %s", got, want)
	}
	if testContent().uuid() == c.uuid() {
		t.Error("two bundles have the same UUID")
	}
}
