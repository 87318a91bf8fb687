package bundle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/sumdb"
)

// lookups is how many questions to the checksum database are under way at once.
const lookups = 8

// wanted is what a module's sums have to be.
type wanted struct {
	inSumDB bool // false: the checksum database does not cover the module
	zip     expectation
	goMod   expectation
}

// An expectation is what is known of one sum before it is computed.
type expectation struct {
	goSum []string // of the go.sum files; empty: they say nothing
	db    string   // of the checksum database; empty: it is not asked
}

func (e expectation) check(what, sum string) error {
	if len(e.goSum) > 0 && !slices.Contains(e.goSum, sum) {
		return fmt.Errorf("%w: the %s has the sum %s, but go.sum says %s", ErrMismatch, what, sum, strings.Join(e.goSum, " or "))
	}
	if e.db != "" && e.db != sum {
		return fmt.Errorf("%w: the %s has the sum %s, but the checksum database says %s", ErrMismatch, what, sum, e.db)
	}
	return nil
}

// check asks the checksum database for every module and makes the record, all but the zips'
// sums, which layers fills in as they are proven. The go.mod files, which are small, are
// proven here.
func (p *packer) check(ctx context.Context) error {
	env := p.captured.Env
	var err error
	if p.db, err = p.openSumDB(); err != nil {
		return fmt.Errorf("open the checksum database: %w", err)
	}
	p.record = &Record{Format: formatVersion, Scope: string(p.opts.Scope), GoVersion: p.captured.GoVersion}
	if p.db.Name() != "" {
		p.record.SumDB, _, _ = strings.Cut(env.GOSUMDB, " ") // the part behind the space is the packing side's URL
	}
	for _, project := range p.captured.Projects {
		p.record.Projects = append(p.record.Projects, Project{
			Path: project.Path, GoMod: string(project.GoMod), GoSum: string(project.GoSum),
			GoWork: string(project.GoWork), GoWorkSum: string(project.GoWorkSum),
		})
	}
	modules := slices.Concat(p.captured.Modules, p.captured.GraphOnly)
	for _, t := range p.captured.Toolchains {
		modules = append(modules, t.Module)
	}
	if err := p.lookUp(ctx, modules); err != nil {
		return err
	}
	if slices.ContainsFunc(slices.Concat(p.record.Modules, p.record.Toolchains), func(m RecordModule) bool { return m.NoSumDB }) {
		p.record.NoSumDB = env.GONOSUMDB
	}
	slices.SortFunc(p.record.Modules, compareModules)
	slices.SortFunc(p.record.Toolchains, compareModules)
	return nil
}

func (p *packer) openSumDB() (*sumdb.DB, error) {
	env := p.captured.Env
	opts := sumdb.Options{
		GOSUMDB: env.GOSUMDB, GONOSUMDB: env.GONOSUMDB, GOPRIVATE: env.GOPRIVATE, GOPROXY: env.GOPROXY,
		Head: p.opts.TreeHead, Netrc: netrc(p.opts.Env), ReadCaches: []string{filepath.Join(env.GOMODCACHE, "cache", "download", "sumdb")},
	}
	if p.opts.CacheDir != "" {
		opts.CacheDir = filepath.Join(p.opts.CacheDir, "sumdb")
	}
	return sumdb.New(opts)
}

// netrc returns the name of the file with the credentials that the go command would use too.
func netrc(env []string) string {
	value := func(name string) string {
		for _, line := range slices.Backward(env) {
			if v, ok := strings.CutPrefix(line, name+"="); ok {
				return v
			}
		}
		return ""
	}
	if name := value("NETRC"); name != "" {
		return name
	}
	if home := cmp.Or(value("HOME"), value("USERPROFILE")); home != "" {
		return filepath.Join(home, ".netrc")
	}
	return ""
}

// lookUp asks the database for each module, checks the go.mod files' sums, and enters the
// modules in the record.
func (p *packer) lookUp(ctx context.Context, modules []gomod.Module) error {
	p.report(Event{Stage: "check", TotalItems: len(modules)})
	goSums := p.record.goSums()
	entries := make([]RecordModule, len(modules))
	wants := make([]wanted, len(modules))
	order := make([]int, len(modules))
	for i := range order {
		order[i] = i
	}
	err := parallel(ctx, max(lookups, runtime.GOMAXPROCS(0)), order, func(ctx context.Context, i int) (err error) {
		m := modules[i]
		key := m.Path + " " + m.Version
		w := wanted{zip: expectation{goSum: goSums[key]}, goMod: expectation{goSum: goSums[key+"/go.mod"]}}
		entries[i] = RecordModule{Path: m.Path, Version: m.Version}
		defer p.report(Event{Stage: "check", Item: entries[i].String(), Items: 1})
		if m.Mod == nil && m.Zip == "" {
			w.inSumDB = true // nothing of it that has a sum is carried
			return nil
		}
		if w.inSumDB = p.db.Covers(m.Path); w.inSumDB {
			if w.zip.db, w.goMod.db, err = p.db.Lookup(ctx, m.Path, m.Version); err != nil {
				if errors.Is(err, sumdb.ErrSecurity) {
					err = fmt.Errorf("%w: %w", ErrMismatch, err)
				}
				return err
			}
		}
		entries[i].NoSumDB = !w.inSumDB
		wants[i] = w
		return p.checkGoMod(m, &entries[i], w)
	})
	if err != nil {
		return err
	}
	p.wanted = make(map[string]wanted, len(modules))
	for i, m := range entries {
		p.wanted[m.String()] = wants[i]
		if m.Path == toolchainPath {
			p.record.Toolchains = append(p.record.Toolchains, m)
		} else {
			p.record.Modules = append(p.record.Modules, m)
		}
	}
	return nil
}

func (p *packer) checkGoMod(m gomod.Module, entry *RecordModule, w wanted) (err error) {
	if m.Mod == nil || m.Path == toolchainPath {
		return nil // a toolchain's go.mod is made up by the go command and not carried
	}
	if entry.GoModSum, err = goModSum(m.Mod); err != nil {
		return err
	}
	return wrapPack(entry.String(), w.goMod.check("go.mod file", entry.GoModSum))
}

// sumDBFiles takes from the database what another go command needs to check everything again.
func (p *packer) sumDBFiles(ctx context.Context) error {
	if p.db.Name() == "" {
		return nil
	}
	dbName := p.db.Name()
	files, _, err := p.db.Files(ctx)
	if err != nil {
		return fmt.Errorf("take the proofs of the checksum database: %w", err)
	}
	p.db = nil // its caches are as large as the files
	p.sumdb = make(map[string][]byte, len(files))
	for name, data := range files {
		p.sumdb["sumdb/"+dbName+"/"+name] = data
	}
	return nil
}
