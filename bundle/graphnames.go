package bundle

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/goferry/goferry/bundle/sumdb"
)

// tileHeight is that of the public checksum database's tiles, and of all that the go command asks.
const tileHeight = 8

// checkNames refuses a graph layer with a file that is none of those that the record leads to:
// whatever is unpacked has a name that was made here.
func (r *Record) checkNames(files map[string][]byte) error {
	names, err := r.graphNames()
	if err != nil {
		return err
	}
	tiles := ""
	if name := r.sumDBName(); name != "" {
		tiles = downloadDir + "sumdb/" + name + "/"
	}
	for name := range files {
		if names[name] {
			continue
		}
		path, ok := strings.CutPrefix(name, tiles)
		if tiles == "" || !ok {
			return fmt.Errorf("the module graph has %q, which does not belong there", name)
		}
		if tile, err := tlog.ParseTilePath(path); err != nil || tile.H != tileHeight {
			return fmt.Errorf("the module graph has %q, which is no tile of the checksum database", name)
		}
	}
	return nil
}

// graphNames returns the names that a graph layer of this record may have, but for the tiles of
// the checksum database.
func (r *Record) graphNames() (map[string]bool, error) {
	names := map[string]bool{recordName: true}
	answers := make(map[string][]byte)
	if err := r.addToolchainAnswers(answers); err != nil {
		return nil, err
	}
	for name := range answers {
		names[name] = true
	}
	db := ""
	if name := r.sumDBName(); name != "" {
		db = downloadDir + "sumdb/" + name + "/"
		names[db+"supported"], names[db+"latest"] = true, true
	}
	for _, list := range [][]RecordModule{r.Modules, r.Toolchains} {
		for _, m := range list {
			v := module.Version{Path: m.Path, Version: m.Version}
			path, version, err := escaped(v)
			if err != nil {
				return nil, err
			}
			if db != "" {
				names[db+"lookup/"+path+"@"+version] = true
			}
			if m.Path == toolchainPath {
				continue
			}
			names[downloadDir+path+"/@latest"], names[downloadDir+path+"/@v/list"] = true, true
			if m.Sum != "" {
				continue
			}
			for _, ext := range []string{".info", ".mod"} {
				name, err := moduleFile(v, ext)
				if err != nil {
					return nil, err
				}
				names[name] = true
			}
		}
	}
	for _, m := range r.ToolModules {
		path, version, err := escaped(module.Version{Path: m.Path, Version: m.Version})
		if err != nil {
			return nil, err
		}
		if db != "" {
			names[db+"lookup/"+path+"@"+version] = true
		}
	}
	return names, nil
}

// checkWords refuses values in the record that would be something else in an environment file,
// or would take more from the checksum database than the bundle needs.
func (r *Record) checkWords() error {
	words := []string{r.Scope, r.GoVersion, r.SumDB, r.NoSumDB}
	for _, p := range r.Projects {
		words = append(words, p.Path)
	}
	for _, w := range words {
		if strings.ContainsFunc(w, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\uFFFD' }) {
			return fmt.Errorf("%q has a space or control character", w)
		}
	}
	if r.SumDB != "" {
		if name, _, err := sumdb.VerifierKey(r.SumDB); err != nil || name != r.sumDBName() {
			return errors.Join(err, fmt.Errorf("%q is no checksum database", r.SumDB))
		}
	}
	if n := len(r.TreeHeads); n > sumdb.MaxEarlier || n > 0 && r.SumDB == "" {
		return fmt.Errorf("it has %d earlier tree heads of the checksum database %q, of which there are %d at most", n, r.SumDB, sumdb.MaxEarlier)
	}
	needed := false
	for _, list := range [][]RecordModule{r.Modules, r.Toolchains} {
		for _, m := range list {
			for _, sum := range []string{m.Sum, m.GoModSum} {
				if sum != "" && !isSum(sum) {
					return fmt.Errorf("%s has the sum %q", m, sum)
				}
			}
			if r.SumDB == "" {
				continue
			}
			needed = needed || m.NoSumDB
			excepted := m.Path != toolchainPath && module.MatchPrefixPatterns(r.NoSumDB, m.Path)
			if !m.NoSumDB && excepted && (m.Sum != "" || m.GoModSum != "") {
				return fmt.Errorf("%s is in the checksum database, but GONOSUMDB=%s takes it out", m, r.NoSumDB)
			}
		}
	}
	if r.NoSumDB != "" && !needed && r.SumDB != "" {
		return fmt.Errorf("GONOSUMDB=%s is for no module of the bundle", r.NoSumDB)
	}
	return r.checkGoVersion()
}
