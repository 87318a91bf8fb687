package bundle

import (
	"bytes"
	"cmp"
	"fmt"
	"go/version"
	"slices"
	"strings"

	"github.com/goferry/goferry/bundle/gomod"
)

// A part is what one bundle brings to a site, from its graph layer.
type part struct {
	name   string // of the bundle, for messages
	record *Record
	files  map[string][]byte // of the graph layer
}

// A merged site is what parts are together.
type merged struct {
	record     *Record
	sumdb      map[string][]byte        // files of the checksum database, by name in a graph layer
	graphFiles map[string]moduleContent // .info and .mod of the modules without a zip, by "path@version"
	tools      map[string]mergedTool    // by platform and file
}

// merge lays parts together. The outcome does not depend on their order, except for who is named
// first where two contradict each other, which is [ErrMismatch]:
//
//   - A module version has the same sums in all.
//   - All have the same checksum database, or none. Whatever a bundle without one brings is excepted
//     from that database, by its exact path, if no other bundle proves it.
//   - Of a tool the newest is taken; see mergeTools.
//   - No bundle excepts from the database what another one proves by it.
//   - The database's files do not contradict each other, and lead from each tree head to each other;
//     where files are missing for that the error is an [UnconnectedError].
func merge(parts []part) (*merged, error) {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b part) int { return bytes.Compare(a.files[recordName], b.files[recordName]) })
	m := &merged{record: &Record{Format: formatVersion}}
	if err := m.database(parts); err != nil {
		return nil, err
	}
	claims := make(claims)
	for _, p := range parts {
		if err := claims.add(p, m.record.SumDB != ""); err != nil {
			return nil, err
		}
	}
	if err := m.modules(parts, claims); err != nil {
		return nil, err
	}
	if err := m.mergeTools(parts); err != nil {
		return nil, err
	}
	if err := m.mergeSumDB(parts); err != nil {
		return nil, err
	}
	if err := m.checkGained(claims); err != nil {
		return nil, err
	}
	m.describe(parts)
	m.graphFiles = make(map[string]moduleContent)
	for _, p := range parts {
		m.addGraphFiles(p)
	}
	return m, nil
}

// describe sets what the record says beside the modules: the highest Go version, the narrowest scope,
// every project.
func (m *merged) describe(parts []part) {
	if len(parts) == 0 {
		return
	}
	r := m.record
	r.Cgo = mergeCgo(parts)
	scopes := []string{string(gomod.Build), string(gomod.Dev), string(gomod.All)}
	r.Scope = slices.MinFunc(parts, func(a, b part) int {
		return cmp.Compare(slices.Index(scopes, a.record.Scope), slices.Index(scopes, b.record.Scope))
	}).record.Scope
	for _, p := range parts {
		if version.Compare(p.record.GoVersion, r.GoVersion) > 0 {
			r.GoVersion = p.record.GoVersion
		}
		for _, project := range p.record.Projects {
			if !slices.Contains(r.Projects, project) {
				r.Projects = append(r.Projects, project)
			}
		}
	}
}

// addGraphFiles takes the .info and .mod files of modules that are only part of the graph. Where two
// bundles have other .info files, which no sum covers, the larger one stays.
func (m *merged) addGraphFiles(p part) {
	for _, entry := range p.record.Modules {
		if entry.Sum != "" {
			continue
		}
		name, c := entry.String(), graphContent(p.files, entry)
		was := m.graphFiles[name]
		if bytes.Compare(was.info, c.info) > 0 {
			c.info = was.info
		}
		if c.mod == nil {
			c.mod = was.mod
		}
		m.graphFiles[name] = c
	}
}

// answers returns the small files of the tree that are neither a module's of its own nor the checksum
// database's, by name in a graph layer. contents has the modules with a zip.
func (m *merged) answers(contents map[string]moduleContent) (map[string][]byte, error) {
	infos, mods := make(map[string][]byte), make(map[string][]byte)
	for _, entry := range m.record.Modules {
		name := entry.String()
		c := m.graphFiles[name]
		if entry.Sum != "" {
			c = contents[name]
		}
		infos[name], mods[name] = c.info, c.mod
	}
	return graphFiles(m.record, infos, mods)
}

// conflict says what two bundles contradict each other in.
func conflict(what string, a, aSays, b, bSays string) error {
	return fmt.Errorf("%w: %s is %s in %s, and %s in %s", ErrMismatch, what, aSays, a, bSays, b)
}

// joinPatterns joins lists as GONOSUMDB has them. One list alone stays as it is.
func joinPatterns(lists ...string) string {
	slices.Sort(lists)
	lists = slices.Compact(slices.DeleteFunc(lists, func(s string) bool { return s == "" }))
	if len(lists) == 1 {
		return lists[0]
	}
	patterns := strings.Split(strings.Join(lists, ","), ",")
	slices.Sort(patterns)
	return strings.Join(slices.Compact(patterns), ",")
}
