package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/toolchain"
)

// isProblem says whether an error is about the bundle, not about the way to it.
func isProblem(err error) bool {
	return errors.Is(err, ErrMismatch) || errors.Is(err, ErrIncomplete)
}

// graph proves the graph layer, and what it says of the others.
func (c *checker) graph(ctx context.Context, report *Report) error {
	record, files, err := c.v.openGraph(ctx)
	if err == nil {
		err = c.checkGraph(record, files)
	}
	if err == nil {
		report.SumDB, report.TreeHeads = record.sumDBName(), record.treeHeads
		report.NotInSumDB = record.notInSumDB()
	}
	if err := c.problem(ctx, Problem{Name: "module graph", Digest: c.v.graph().Digest, Err: err}); err != nil {
		return err
	}
	c.v.report(Event{Stage: c.v.stage, Item: "module graph", Items: 1})
	return nil
}

func (r *Record) notInSumDB() []string {
	var names []string
	for _, m := range slices.Concat(r.Modules, r.Toolchains, r.ToolModules) {
		if m.NoSumDB {
			names = append(names, m.String())
		}
	}
	return names
}

// graph returns the graph layer, which all platforms share; see checkNames.
func (v *Verified) graph() ocispec.Descriptor {
	layers := v.Platforms[0].Layers
	return layers[len(layers)-1]
}

// openGraph reads the graph layer, and proves that what it says of itself and of each platform's
// layers is in order. What it says of their content is for checkGraph.
func (v *Verified) openGraph(ctx context.Context) (*Record, map[string][]byte, error) {
	files, err := v.readGraph(ctx, v.graph())
	if err != nil {
		return nil, nil, err
	}
	if len(files[recordName]) > maxRecord {
		return nil, nil, fmt.Errorf("%w: the bundle's record has %d bytes, more than %d", ErrMismatch, len(files[recordName]), maxRecord)
	}
	record, err := parseRecord(files[recordName])
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the bundle's record: %w", ErrMismatch, err)
	}
	errs := []error{record.checkNames(files)}
	for _, p := range v.Platforms {
		errs = append(errs, record.checkLayers(p))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return record, files, nil
}

// checkGraph holds the files of a graph layer against the layers of the platform, which have
// been read before.
func (c *checker) checkGraph(record *Record, files map[string][]byte) error {
	errs := slices.Concat(c.checkGraphFiles(record, files), record.checkGoSum(), c.v.checkConfigs(record), c.v.checkTools(record, c.tools))
	if err := record.checkSumDB(files); err != nil {
		errs = append(errs, err)
	} else if err := c.v.checkAnnotations(record); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrMismatch, errors.Join(errs...))
	}
	return nil
}

// checkLayers holds the record against the layers of one platform.
func (r *Record) checkLayers(p Platform) error {
	said := make(map[string]RecordModule)
	for _, m := range slices.Concat(r.Modules, r.Toolchains) {
		said[m.String()] = m
	}
	modules, toolchains, tools := 0, 0, 0
	for _, l := range p.members() {
		name := layerName(l)
		if layerKind(l) == kindGraph {
			continue
		}
		if layerKind(l) == kindTool {
			tools++
			if err := r.checkToolLayer(l, p); err != nil {
				return err
			}
			continue
		}
		m, ok := said[name]
		if !ok || m.Sum != l.Annotations[AnnotationSum] || m.NoSumDB != (l.Annotations[AnnotationSumDB] != "") {
			return fmt.Errorf("layer %s of %s is not what the bundle's record says", name, p)
		}
		switch layerKind(l) {
		case kindModule:
			modules++
		case kindToolchainZip:
			toolchains++
		case kindToolchain:
			toolchains++
			if want := toolchain.ModuleVersion(r.GoVersion, p.OS, p.Arch); name != toolchainPath+"@"+want {
				return fmt.Errorf("%s has the GOROOT of %s, the bundle's record that of %s", p, name, want)
			}
		}
	}
	if want := len(r.zips()); modules != want {
		return fmt.Errorf("%s has %d modules, the bundle's record %d", p, modules, want)
	}
	if want := len(r.toolchains(p.Platform)); toolchains != want {
		return fmt.Errorf("%s has %d toolchain layers, the bundle's record %d", p, toolchains, want)
	}
	if want := len(r.toolsFor(p.Platform)); tools != want {
		return fmt.Errorf("%s has %d tool layers, the bundle's record %d", p, tools, want)
	}
	return nil
}

// checkGraphFiles makes the graph's files again and compares them with what is there, and
// checks the sums of all go.mod files.
func (c *checker) checkGraphFiles(r *Record, files map[string][]byte) (errs []error) {
	infos, mods := make(map[string][]byte), make(map[string][]byte)
	for _, m := range r.Modules {
		content, whole := c.contents[m.String()]
		if m.Sum == "" {
			content = graphContent(files, m)
			if content.info != nil {
				if err := checkInfo(content.info, m.Version); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", m, err))
				}
			}
		} else if !whole {
			continue // its layer has a problem of its own
		}
		infos[m.String()], mods[m.String()] = content.info, content.mod
		if content.mod == nil && m.GoModSum == "" {
			continue
		}
		if sum, err := goModSum(content.mod); err != nil || sum != m.GoModSum {
			errs = append(errs, fmt.Errorf("%s: the go.mod file has the sum %s, the bundle says %s", m, sum, m.GoModSum))
		}
	}
	want, err := graphFiles(r, infos, mods)
	if err != nil {
		return append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == recordName || strings.HasPrefix(name, downloadDir+"sumdb/") && r.SumDB != "" {
			continue
		}
		if data, ok := want[name]; ok && bytes.Equal(data, files[name]) || !ok && c.unread(r, name) {
			continue
		}
		errs = append(errs, fmt.Errorf("the module graph's %q is not what the modules say", name))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := files[name]; !ok {
			errs = append(errs, fmt.Errorf("the module graph has no %q", name))
		}
	}
	return errs
}

// unread says whether name is the @latest answer of a module whose layer could not be read.
func (c *checker) unread(r *Record, name string) bool {
	esc, ok := strings.CutSuffix(strings.TrimPrefix(name, downloadDir), "/@latest")
	if !ok {
		return false
	}
	path, err := module.UnescapePath(esc)
	return err == nil && slices.ContainsFunc(r.zips(), func(m RecordModule) bool {
		_, read := c.contents[m.String()]
		return m.Path == path && !read
	})
}

// graphContent finds the files of a module that is only part of the graph.
func graphContent(files map[string][]byte, m RecordModule) (c moduleContent) {
	v := module.Version{Path: m.Path, Version: m.Version}
	if name, err := moduleFile(v, ".info"); err == nil {
		c.info = files[name]
	}
	if name, err := moduleFile(v, ".mod"); err == nil {
		c.mod = files[name]
	}
	return c
}

// checkGoSum holds the go.sum files of the bundle's projects against the record.
func (r *Record) checkGoSum() (errs []error) {
	goSums := r.goSums()
	for _, m := range slices.Concat(r.Modules, r.ToolModules) {
		key := m.Path + " " + m.Version
		for _, s := range []struct{ key, what, sum string }{{key, "zip", m.Sum}, {key + "/go.mod", "go.mod file", m.GoModSum}} {
			if s.sum == "" {
				continue
			}
			if err := (expectation{goSum: goSums[s.key]}).check(s.what, s.sum); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", m, err))
			}
		}
	}
	return errs
}
