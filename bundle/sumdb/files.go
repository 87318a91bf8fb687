package sumdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb"
	"golang.org/x/sync/errgroup"
)

// inFlight is how many lookups are proven, and requests made, at once.
const inFlight = 8

// MaxEarlier is how many earlier heads there are at most, the newest ones.
const MaxEarlier = 64

// Files returns what go commands need to check every module that was looked
// up, by name below the database's own: a fresh one, and those that have seen one
// of the earlier heads, which are returned by size. They depend on the modules
// and the heads alone. Files proves each record once more, as that go command
// will, and that the trees have grown one out of the other.
func (db *DB) Files(ctx context.Context) (files map[string][]byte, earlier [][]byte, err error) {
	if db.name == "" {
		return nil, nil, nil
	}
	db.mu.Lock()
	h, records := db.head, maps.Clone(db.records)
	db.mu.Unlock()
	if len(records) == 0 {
		return nil, nil, nil
	}
	set := &fileSet{files: map[string][]byte{"supported": {}, "latest": h.msg}}
	for name, r := range records {
		if set.files[name], err = r.format(h); err != nil {
			return nil, nil, fmt.Errorf("record %s: %w", name, err)
		}
	}
	if err := db.proveRecords(ctx, set, records); err != nil {
		return nil, nil, err
	}
	var group errgroup.Group
	group.SetLimit(inFlight)
	for _, e := range db.earlierThan(h) {
		group.Go(func() error { return db.connect(set, records, e, h) })
		earlier = append(earlier, e.msg)
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	return set.files, earlier, nil
}

// proveRecords does what a fresh go command does.
func (db *DB) proveRecords(ctx context.Context, set *fileSet, records map[string]record) error {
	ops := newFileOps(db, set, nil)
	client := sumdb.NewClient(ops)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, name := range slices.Sorted(maps.Keys(records)) {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			path, version, err := recordModule(records[name].text)
			if err != nil {
				return err
			}
			if _, err := client.Lookup(path, version); err != nil {
				return ops.explain(path, version, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// earlierThan returns the newest earlier heads, by size. One that is as large
// as h is among them only if it is of another tree, for connect to find.
func (db *DB) earlierThan(h head) []head {
	var all []head
	for _, e := range sortHeads(slices.Clone(db.earlier)) {
		if e.n <= h.n && !e.sameTree(h) {
			all = append(all, e)
		}
	}
	return all[max(0, len(all)-MaxEarlier):]
}

// connect does what a go command does that has seen the head older. Which of
// the records it looks up does not matter: their tiles are there already.
func (db *DB) connect(set *fileSet, records map[string]record, older, newer head) error {
	path, version, err := recordModule(records[slices.Min(slices.Collect(maps.Keys(records)))].text)
	if err != nil {
		return err
	}
	ops := newFileOps(db, set, older.msg)
	if _, err := sumdb.NewClient(ops).Lookup(path, version); err != nil {
		return &ConnectError{older.n, newer.n, ops.explain(path, version, err)}
	}
	return nil
}

// recordModule returns the module version that a record is of.
func recordModule(text []byte) (path, version string, err error) {
	f := strings.Fields(string(text))
	if len(f) < 3 {
		return "", "", errors.New("malformed record in checksum database")
	}
	return f[0], strings.TrimSuffix(f[1], "/go.mod"), nil
}

// A fileSet is the files that clients read.
type fileSet struct {
	mu    sync.Mutex
	files map[string][]byte
}

func (s *fileSet) get(name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, found := s.files[name]
	return data, found
}

func (s *fileSet) keep(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = data
}

// fileOps is what a client runs on that has the lookups, and has seen no head
// but one, or none. It keeps each tile that the client reads.
type fileOps struct {
	lookupOps
	set  *fileSet
	seen []byte
}

func newFileOps(db *DB, set *fileSet, seen []byte) *fileOps {
	return &fileOps{lookupOps: lookupOps{db: db, failed: map[string]error{}}, set: set, seen: seen}
}

func (o *fileOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(o.db.key), nil
	}
	return o.seen, nil
}

func (o *fileOps) WriteConfig(string, []byte, []byte) error { return nil }

func (o *fileOps) ReadCache(file string) ([]byte, error) {
	name := strings.TrimPrefix(file, o.db.name+"/")
	if data, found := o.set.get(name); found {
		return data, nil
	}
	if strings.HasPrefix(name, "lookup/") {
		return nil, fs.ErrNotExist
	}
	data, err := o.db.cache.read(file)
	if err == nil {
		o.set.keep(name, data)
	}
	return data, err
}

func (o *fileOps) WriteCache(file string, data []byte) {
	o.set.keep(strings.TrimPrefix(file, o.db.name+"/"), data)
	o.lookupOps.WriteCache(file, data)
}
