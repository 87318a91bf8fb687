package bundle

import (
	"bytes"
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

// An expected module is one that is packed: what is known of its sums, once done is closed.
type expected struct {
	module  gomod.Module
	entry   RecordModule // all but the zip's sum
	builtIn bool         // not carried, but built into a tool; entry has the zip's sum
	unknown bool         // made of a directory, and the checksum database that covers it has no such version
	wanted
	done chan struct{}
}

// hasSum says whether something of the module is carried that has a sum.
func (e *expected) hasSum() bool { return e.module.Mod != nil || e.module.Zip != "" || e.builtIn }

// begin starts the record, and lists what is expected, the largest first as the layers are made
// in this order too.
func (p *packer) begin() (err error) {
	env := p.captured.Env
	if p.db, err = p.openSumDB(); err != nil {
		return fmt.Errorf("open the checksum database: %w", err)
	}
	p.record = &Record{Format: formatVersion, Scope: string(p.opts.Scope), GoVersion: p.captured.GoVersion, SumDB: recordSumDB(p.db, env.GOSUMDB), own: p.opts.Annotations}
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
	slices.SortStableFunc(modules, func(a, b gomod.Module) int { return cmp.Compare(b.Size, a.Size) })
	p.expected = make(map[string]*expected, len(modules))
	for _, m := range modules {
		e := &expected{module: m, entry: RecordModule{Path: m.Path, Version: m.Version}, done: make(chan struct{})}
		p.order = append(p.order, e)
		p.expected[e.entry.String()] = e
	}
	if err := p.beginTools(); err != nil {
		return err
	}
	return p.checkCovered()
}

// recordSumDB is what the setting becomes on the isolated side: neither the packing side's URL of
// the database is kept, nor a name that stands for one.
func recordSumDB(db *sumdb.DB, gosumdb string) string {
	if f := strings.Fields(gosumdb); len(f) > 0 && strings.Contains(f[0], "+") {
		return f[0]
	}
	return db.Name()
}

func (p *packer) openSumDB() (*sumdb.DB, error) {
	env := p.captured.Env
	opts := sumdb.Options{
		GOSUMDB: env.GOSUMDB, GONOSUMDB: env.GONOSUMDB, GOPRIVATE: env.GOPRIVATE, GOPROXY: env.GOPROXY,
		Heads: p.opts.TreeHeads, Since: p.opts.Since, Netrc: netrc(p.opts.Env), ReadCaches: []string{filepath.Join(env.GOMODCACHE, "cache", "download", "sumdb")},
	}
	if p.opts.CacheDir != "" {
		opts.CacheDir = p.sumDBCache()
	}
	return sumdb.New(opts)
}

func (p *packer) sumDBCache() string { return filepath.Join(p.opts.CacheDir, "sumdb") }

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

// lookUp asks the database for each module, and checks the go.mod files' sums. It runs beside the
// making of the layers, which wait for their module.
func (p *packer) lookUp(ctx context.Context) error {
	p.report(Event{Stage: "check", TotalItems: len(p.order)})
	goSums := p.record.goSums()
	return parallel(ctx, max(lookups, runtime.GOMAXPROCS(0)), p.order, func(ctx context.Context, e *expected) error {
		key := e.module.Path + " " + e.module.Version
		e.zip.goSum, e.goMod.goSum = goSums[key], goSums[key+"/go.mod"]
		if err := p.lookUpOne(ctx, e); err != nil {
			return err
		}
		close(e.done)
		p.report(Event{Stage: "check", Item: e.entry.String(), Items: 1})
		return nil
	})
}

func (p *packer) lookUpOne(ctx context.Context, e *expected) (err error) {
	if !e.hasSum() {
		e.inSumDB = true
		return nil
	}
	if e.inSumDB = p.db.Covers(e.module.Path); e.inSumDB {
		e.zip.db, e.goMod.db, err = p.db.Lookup(ctx, e.module.Path, e.module.Version)
		switch {
		case e.module.Local && (errors.Is(err, sumdb.ErrNotRecorded) || errors.Is(err, sumdb.ErrNetwork)):
			// Not all say 404 of what they do not have, and one that cannot be reached has no version to contradict.
			e.inSumDB, e.unknown = false, true
			if p.opts.RequireSumDB {
				return fmt.Errorf("pack %s: %w (it is made of a directory)", e.entry, ErrNotInSumDB)
			}
		case errors.Is(err, sumdb.ErrSecurity):
			return fmt.Errorf("%w: %w", ErrMismatch, err)
		case err != nil:
			return err
		}
	}
	e.entry.NoSumDB = !e.inSumDB
	if e.builtIn {
		return wrapPack(e.entry.String(), e.zip.check("zip that a tool was built of", e.entry.Sum))
	}
	return e.explain(p.checkGoMod(e.module, &e.entry, e.wanted))
}

// explain says of a module that was made of a directory, and is not what it has to be, why that is.
func (e *expected) explain(err error) error {
	if err != nil && e.module.Local {
		return fmt.Errorf("%w: %w", gomod.ErrTaken, err)
	}
	return err
}

// want returns what a module's sums have to be, when that is known.
func (p *packer) want(ctx context.Context, name string) (wanted, error) {
	e := p.expected[name]
	select {
	case <-e.done:
		return e.wanted, nil
	case <-ctx.Done():
		return wanted{}, ctx.Err()
	}
}

// complete enters the modules in the record, with the sums that were proven for their layers.
func (p *packer) complete(layers []layer) error {
	sums := make(map[string]string, len(layers))
	for _, l := range layers {
		for _, m := range Members(l.desc) {
			sums[layerName(m)] = m.Annotations[AnnotationSum]
		}
	}
	for _, e := range p.order {
		if e.builtIn {
			continue
		}
		e.entry.Sum = sums[e.entry.String()]
		list := &p.record.Modules
		if e.module.Path == toolchainPath {
			list = &p.record.Toolchains
		}
		*list = append(*list, e.entry)
	}
	slices.SortFunc(p.record.Modules, compareModules)
	slices.SortFunc(p.record.Toolchains, compareModules)
	return errors.Join(p.except(), p.completeTools())
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
	files, earlier, err := p.db.Files(ctx)
	if err != nil {
		return fmt.Errorf("take the proofs of the checksum database: %w", err)
	}
	if len(files) == 0 {
		return nil // there was nothing to look up
	}
	if err := p.takeHeads(files["latest"], earlier); err != nil {
		return err
	}
	p.db = nil // its caches are as large as the files
	p.sumdb = make(map[string][]byte, len(files))
	for name, data := range files {
		p.sumdb["sumdb/"+dbName+"/"+name] = data
	}
	return nil
}

// takeHeads enters the tree heads in the record, and tells if the one to pack with was not enough.
func (p *packer) takeHeads(latest []byte, earlier [][]byte) error {
	p.head = latest
	for _, head := range earlier {
		p.record.TreeHeads = append(p.record.TreeHeads, string(head))
	}
	if err := p.record.sizeTreeHeads(latest, p.db.Key()); err != nil {
		return err
	}
	isLatest := func(head []byte) bool { return bytes.Equal(head, latest) }
	if given := p.opts.TreeHeads; given != nil && !slices.ContainsFunc(given, isLatest) {
		p.opts.Warn(fmt.Sprintf("no given tree head of the checksum database covers every module: packed with a newer one, %d", p.record.treeHeads[len(earlier)]))
	}
	return nil
}
