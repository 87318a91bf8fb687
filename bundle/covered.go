package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// someOf names the first few, and says how many more there are.
func someOf(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
