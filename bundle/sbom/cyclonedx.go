package sbom

import (
	"fmt"
	"io"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// WriteCycloneDX writes the content as CycloneDX 1.6, which more readers know than the newest.
func (c *Content) WriteCycloneDX(w io.Writer) error {
	bom := cdx.NewBOM()
	bom.SerialNumber = c.uuid()
	bom.Metadata = &cdx.Metadata{
		Tools:      &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "goferry"}}},
		Component:  c.root(),
		Properties: &[]cdx.Property{{Name: propertySum, Value: sumMeaning}},
	}
	if !c.Created.IsZero() {
		bom.Metadata.Timestamp = c.Created.UTC().Format(time.RFC3339)
	}
	components := make([]cdx.Component, 0, len(c.Modules))
	for _, m := range c.Modules {
		components = append(components, m.component())
	}
	var dependencies []cdx.Dependency
	for _, t := range c.Tools {
		components = append(components, t.component())
		var on []string
		for _, m := range t.BuiltOf {
			on = append(on, m.PackageURL())
		}
		dependencies = append(dependencies, cdx.Dependency{Ref: t.packageURL(), Dependencies: &on})
	}
	bom.Components = &components
	if dependencies != nil {
		bom.Dependencies = &dependencies
	}
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
}

func (c *Content) root() *cdx.Component {
	root := &cdx.Component{
		BOMRef: "project", Type: cdx.ComponentTypeApplication, Name: c.Name,
		Properties: &[]cdx.Property{{Name: propertyBundle, Value: c.Digest.String()}},
	}
	var parts []cdx.Component
	for i, path := range c.Projects {
		parts = append(parts, cdx.Component{BOMRef: fmt.Sprintf("project-%d", i+1), Type: cdx.ComponentTypeApplication, Name: path})
	}
	if parts != nil {
		root.Components = &parts
	}
	return root
}

func (m Module) component() cdx.Component {
	kind := cdx.ComponentTypeLibrary
	if m.Toolchain {
		kind = cdx.ComponentTypeApplication
	}
	var properties []cdx.Property
	for _, p := range m.properties() {
		properties = append(properties, cdx.Property{Name: p[0], Value: p[1]})
	}
	return cdx.Component{
		BOMRef: m.PackageURL(), Type: kind, Name: m.Path, Version: m.Version, PackageURL: m.PackageURL(), Properties: &properties,
	}
}

func (t Tool) component() cdx.Component {
	return cdx.Component{
		BOMRef: t.packageURL(), Type: cdx.ComponentTypeApplication, Name: t.Package, Version: t.Module.Version, PackageURL: t.packageURL(),
	}
}
