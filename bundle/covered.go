package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
)

// ErrNotInSumDB says that the user's settings keep a module from the checksum database, which
// [PackOptions.RequireSumDB] does not allow.
var ErrNotInSumDB = errors.New("not covered by the checksum database")

// checkCovered tells which modules the checksum database is not asked about, or refuses them, as
// the options want it. Of the go command's settings these have a say: GOSUMDB, GONOSUMDB, and
// GOPRIVATE where that is empty. Neither GOINSECURE, which is about HTTPS, nor the flag -insecure,
// which go get refuses and all else ignores, nor GONOSUMCHECK, which no go command knows any more.
func (p *packer) checkCovered() error {
	var names []string
	for _, e := range p.order {
		if e.hasSum() && !p.db.Covers(e.module.Path) {
			names = append(names, e.entry.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	why := "GOSUMDB=off"
	if p.db.Name() != "" {
		why = "GONOSUMDB=" + p.captured.Env.GONOSUMDB
	}
	if !p.opts.RequireSumDB {
		p.opts.Warn(fmt.Sprintf("%s (%s): %s", ErrNotInSumDB, why, someOf(names)))
		return nil
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, fmt.Errorf("pack %s: %w (%s)", name, ErrNotInSumDB, why))
	}
	return errors.Join(errs...)
}

// except enters in the record what go commands are not to ask the checksum database about: what the user's settings
// say, and the modules made of directories that it does not know.
func (p *packer) except() error {
	var patterns, made []string
	for _, e := range p.order {
		switch {
		case e.unknown:
			patterns, made = append(patterns, e.module.Path), append(made, e.entry.String())
		case e.entry.NoSumDB && !e.builtIn:
			patterns = append(patterns, p.captured.Env.GONOSUMDB)
		}
	}
	p.record.NoSumDB = joinPatterns(patterns...)
	if len(made) == 0 {
		return nil
	}
	for _, e := range p.order { // the go command excepts paths, and no versions
		if !e.entry.NoSumDB && e.hasSum() && e.module.Path != toolchainPath && module.MatchPrefixPatterns(p.record.NoSumDB, e.module.Path) {
			return fmt.Errorf("pack %s: %w: it would take %s out of the checksum database, which has that", made[0], gomod.ErrLocal, e.entry)
		}
	}
	slices.Sort(made)
	p.opts.Warn(fmt.Sprintf("%s (made of a directory): %s", ErrNotInSumDB, someOf(made)))
	return nil
}

// someOf names the first few, and says how many more there are.
func someOf(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
