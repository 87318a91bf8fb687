package bundle

import (
	"cmp"
	"go/version"
	"slices"

	"golang.org/x/mod/semver"
)

// A mergedTool is a tool with the record that it comes from.
type mergedTool struct {
	RecordTool
	of *Record
}

// mergeTools takes of each tool the newest version, as of GOROOT; of one version that which the newest Go has built.
// Two packages whose tools have one name contradict each other.
func (m *merged) mergeTools(parts []part) error {
	m.tools = make(map[string]mergedTool)
	by := make(map[string]string)
	for _, p := range parts {
		for _, t := range p.record.Tools {
			file, err := t.file()
			if err != nil {
				return err
			}
			name := toolPlace(t.Platform, file)
			was, ok := m.tools[name]
			if ok && was.Package != t.Package {
				return conflict(name, by[name], was.Package, p.name, t.Package)
			}
			if !ok || newerTool(t, was.RecordTool) {
				m.tools[name], by[name] = mergedTool{t, p.record}, p.name
			}
		}
	}
	return m.recordTools()
}

func newerTool(a, b RecordTool) bool {
	return cmp.Or(semver.Compare(a.Version, b.Version), version.Compare(a.GoVersion, b.GoVersion)) > 0
}

// recordTools enters the tools in the record, with what they were built of and is not carried whole.
func (m *merged) recordTools() error {
	carried, entered := m.record.toolSums(), make(map[string]RecordModule)
	for _, t := range m.tools {
		m.record.Tools = append(m.record.Tools, t.RecordTool)
		for _, entry := range slices.Concat(t.of.Modules, t.of.ToolModules) {
			name := entry.String()
			if entry.Sum == "" || carried[name] == entry.Sum || !slices.Contains(t.Modules, name) {
				continue
			}
			entry.GoModSum = ""
			was, ok := entered[name]
			if sum := cmp.Or(carried[name], was.Sum, entry.Sum); sum != entry.Sum {
				return conflict(name, "the bundles' modules", sum, "the tool "+t.String(), entry.Sum)
			}
			entry.NoSumDB = entry.NoSumDB && (!ok || was.NoSumDB)
			entered[name] = entry
		}
	}
	for _, entry := range entered {
		m.record.ToolModules = append(m.record.ToolModules, entry)
	}
	slices.SortFunc(m.record.Tools, compareTools)
	slices.SortFunc(m.record.ToolModules, compareModules)
	return nil
}

// has says whether the tool of a layer, for one platform, is the one that was chosen, and comes from that record.
func (m *merged) has(l proofLayer, of *Record) bool {
	pkg, version, _ := layerTool(l.desc)
	file, err := toolFile(pkg, l.platform)
	t := m.tools[toolPlace(l.platform.String(), file)]
	return err == nil && t.of == of && t.Package == pkg && t.Version == version
}
