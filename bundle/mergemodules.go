package bundle

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/sumdb"
)

// A claim is what is known of a module version, and who said so first.
type claim struct {
	RecordModule
	sumBy, modSumBy string // bundles
	provenBy        string // a bundle in which the checksum database covers it
	gained          bool   // a sum that the bundle in provenBy has not
}

// claims are by "path@version".
type claims map[string]*claim

// add takes what a part says of its modules and toolchains. hasDB says that the site has a checksum
// database.
func (all claims) add(p part, hasDB bool) error {
	for _, m := range slices.Concat(p.record.Modules, p.record.Toolchains) {
		c := all[m.String()]
		if c == nil {
			c = &claim{RecordModule: RecordModule{Path: m.Path, Version: m.Version, NoSumDB: true}}
			all[m.String()] = c
		}
		if err := c.sums(m, p.name); err != nil {
			return err
		}
		switch {
		case m.Sum == "" && m.GoModSum == "":
		case m.NoSumDB || hasDB && p.record.SumDB == "":
			c.gained = true
		default:
			c.NoSumDB, c.provenBy = false, p.name
		}
	}
	return nil
}

// sums holds the sums of m, in the bundle by, against those that are known.
func (c *claim) sums(m RecordModule, by string) error {
	for _, s := range []struct {
		what  string
		known *string
		by    *string
		sum   string
	}{{m.String(), &c.Sum, &c.sumBy, m.Sum}, {"the go.mod file of " + m.String(), &c.GoModSum, &c.modSumBy, m.GoModSum}} {
		switch {
		case s.sum == "":
		case *s.known == "":
			*s.known, *s.by = s.sum, by
		case *s.known != s.sum:
			return conflict(s.what, *s.by, *s.known, by, s.sum)
		}
	}
	return nil
}

// modules enters all modules in the record, and the exceptions from the checksum database.
func (m *merged) modules(parts []part, all claims) error {
	r := m.record
	for _, c := range all {
		c.NoSumDB = c.NoSumDB && (c.Sum != "" || c.GoModSum != "")
		list := &r.Modules
		if c.Path == toolchainPath {
			list = &r.Toolchains
		}
		*list = append(*list, c.RecordModule)
	}
	slices.SortFunc(r.Modules, compareModules)
	slices.SortFunc(r.Toolchains, compareModules)
	var patterns []string
	for _, p := range parts {
		except := exceptions{patterns: p.record.NoSumDB}
		if r.SumDB != "" && p.record.SumDB == "" {
			except = exactly(p.record, all)
		}
		if err := except.check(p.name, r, all); err != nil {
			return err
		}
		patterns = append(patterns, except.list()...)
	}
	r.NoSumDB = joinPatterns(patterns...)
	return nil
}

// exceptions are what one bundle takes out of the checksum database.
type exceptions struct {
	patterns string
	exact    map[string]bool // module paths
}

// exactly excepts the modules of a bundle that are not proven by another.
func exactly(r *Record, all claims) exceptions {
	e := exceptions{exact: make(map[string]bool)}
	for _, m := range r.Modules {
		if all[m.String()].NoSumDB {
			e.exact[m.Path] = true
		}
	}
	return e
}

func (e exceptions) list() []string {
	list := []string{e.patterns}
	for path := range e.exact {
		list = append(list, path)
	}
	return list
}

func (e exceptions) match(path string) bool {
	if e.patterns != "" && module.MatchPrefixPatterns(e.patterns, path) {
		return true
	}
	for i := 0; i < len(path) && len(e.exact) > 0; i++ {
		if path[i] == '/' && e.exact[path[:i]] {
			return true
		}
	}
	return e.exact[path]
}

// check refuses exceptions of the bundle by that take out what another one proves.
func (e exceptions) check(by string, r *Record, all claims) error {
	if r.SumDB == "" {
		return nil
	}
	for _, m := range r.Modules {
		if !m.NoSumDB && (m.Sum != "" || m.GoModSum != "") && e.match(m.Path) {
			return conflict(m.String(), all[m.String()].provenBy, "proven by the checksum database", by, "taken out of it")
		}
	}
	return nil
}

// checkGained proves what bundles without the database add to modules that it covers.
func (m *merged) checkGained(all claims) error {
	if m.record.SumDB == "" {
		return nil
	}
	var gained []sumdb.Expect
	for _, c := range all {
		if c.gained && !c.NoSumDB {
			gained = append(gained, sumdb.Expect{Path: c.Path, Version: c.Version, Sum: c.Sum, ModSum: c.GoModSum})
		}
	}
	name, key, err := sumdb.VerifierKey(m.record.SumDB)
	if err != nil {
		return err
	}
	err = sumdb.Check(readSumDB(m.sumdb, sumDBDir(name)), key, gained)
	if check := (*sumdb.CheckError)(nil); errors.As(err, &check) {
		c := all[check.Path+"@"+check.Version]
		return fmt.Errorf("%w: %s, as %s has it, against the checksum database of %s: %w", ErrMismatch, c, c.sumBy, c.provenBy, check.Err)
	}
	return err
}
