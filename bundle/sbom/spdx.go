package sbom

import (
	"fmt"
	"io"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const (
	spdxTool        = "goferry"
	spdxNoAssertion = "NOASSERTION"
	spdxRoot        = common.ElementID("Project")
)

// WriteSPDX writes the content as SPDX 2.3.
func (c *Content) WriteSPDX(w io.Writer) error {
	created := c.Created
	if created.IsZero() {
		created = time.Unix(0, 0)
	}
	date := created.UTC().Format(time.RFC3339)
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: c.Name, DocumentNamespace: c.uuid(), DocumentComment: sumMeaning,
		CreationInfo: &spdx.CreationInfo{Creators: []common.Creator{{CreatorType: "Tool", Creator: spdxTool}}, Created: date},
	}
	root := spdxPackage(spdxRoot, c.Name, "APPLICATION")
	root.Annotations = []spdx.Annotation{spdxAnnotation(date, propertyBundle, c.Digest.String())}
	add(doc, "DOCUMENT", "DESCRIBES", root)
	for i, path := range c.Projects {
		add(doc, spdxRoot, "CONTAINS", spdxPackage(common.ElementID(fmt.Sprintf("Project-%d", i+1)), path, "APPLICATION"))
	}
	ids := make(map[string]common.ElementID)
	for i, m := range c.Modules {
		id := common.ElementID(fmt.Sprintf("Module-%d", i+1))
		ids[m.PackageURL()] = id
		add(doc, spdxRoot, "CONTAINS", m.spdxPackage(id, date))
	}
	for i, t := range c.Tools {
		id := common.ElementID(fmt.Sprintf("Tool-%d", i+1))
		add(doc, spdxRoot, "CONTAINS", t.spdxPackage(id))
		for _, m := range t.BuiltOf {
			relate(doc, id, "STATIC_LINK", ids[m.PackageURL()])
		}
	}
	return spdxjson.Write(doc, w, spdxjson.Indent("  "), spdxjson.EscapeHTML(false))
}

// add adds a package, and how another element is related to it.
func add(doc *spdx.Document, from common.ElementID, relationship string, p *spdx.Package) {
	doc.Packages = append(doc.Packages, p)
	relate(doc, from, relationship, p.PackageSPDXIdentifier)
}

func relate(doc *spdx.Document, from common.ElementID, relationship string, to common.ElementID) {
	doc.Relationships = append(doc.Relationships, &spdx.Relationship{
		RefA:         common.DocElementID{ElementRefID: from},
		RefB:         common.DocElementID{ElementRefID: to},
		Relationship: relationship,
	})
}

func spdxPackage(id common.ElementID, name, purpose string) *spdx.Package {
	return &spdx.Package{
		PackageName: name, PackageSPDXIdentifier: id, PackageDownloadLocation: spdxNoAssertion, PrimaryPackagePurpose: purpose,
		PackageLicenseConcluded: spdxNoAssertion, PackageLicenseDeclared: spdxNoAssertion, PackageCopyrightText: spdxNoAssertion,
	}
}

// spdxPackage numbers modules, as an SPDX identifier cannot have all the characters of a path.
func (m Module) spdxPackage(id common.ElementID, date string) *spdx.Package {
	purpose := "LIBRARY"
	if m.Toolchain {
		purpose = "APPLICATION"
	}
	p := spdxPackage(id, m.Path, purpose)
	p.PackageVersion = m.Version
	p.PackageExternalReferences = []*spdx.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: m.PackageURL(),
	}}
	for _, said := range m.properties() {
		p.Annotations = append(p.Annotations, spdxAnnotation(date, said[0], said[1]))
	}
	return p
}

func (t Tool) spdxPackage(id common.ElementID) *spdx.Package {
	p := spdxPackage(id, t.Package, "APPLICATION")
	p.PackageVersion = t.Module.Version
	p.PackageExternalReferences = []*spdx.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: t.packageURL(),
	}}
	return p
}

func spdxAnnotation(date, name, value string) spdx.Annotation {
	return spdx.Annotation{
		Annotator:      common.Annotator{AnnotatorType: "Tool", Annotator: spdxTool},
		AnnotationDate: date, AnnotationType: "OTHER", AnnotationComment: name + "=" + value,
	}
}
