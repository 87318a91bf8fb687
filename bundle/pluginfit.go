package bundle

import "slices"

// A PluginFit says whether plugins that are built with one bundle load into programs that are built with another. The
// runtime refuses a plugin that another Go has compiled, and one that has another version of a package which the program
// has too.
type PluginFit struct {
	Fit        bool     `json:"fit"`
	Toolchains []Change `json:"toolchains"` // that are others: no plugin fits
	Modules    []Change `json:"modules"`    // likewise: no plugin fits that shares a package of them with the program
}

// pluginFit finds what both sides have, in other versions. What one side alone has is shared by nothing.
func (d *Difference) pluginFit() *PluginFit {
	oneSided := func(c Change) bool { return len(c.From) == 0 || len(c.To) == 0 }
	p := &PluginFit{
		Toolchains: slices.DeleteFunc(slices.Clone(d.Toolchains), oneSided),
		Modules:    slices.DeleteFunc(slices.Clone(d.Modules), oneSided),
	}
	p.Fit = len(p.Toolchains)+len(p.Modules) == 0
	return p
}

// loadsPlugins says whether one of a bundle's projects imports the package "plugin", which needs a C compiler.
func loadsPlugins(annotations map[string]string) bool {
	return slices.ContainsFunc(parseCgo(annotations[AnnotationCgo]), func(c CgoPackage) bool { return c.Package == "plugin" })
}
