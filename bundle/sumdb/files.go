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

// Files returns what a fresh go command needs to check every module that was
// looked up, by name below the database's own, and the head that the files are
// written for. They depend on the modules and the head alone. Files proves
// each record once more, as that go command will.
func (db *DB) Files(ctx context.Context) (files map[string][]byte, head []byte, err error) {
	if db.name == "" {
		return nil, nil, nil
	}
	db.mu.Lock()
	h, records := db.head, maps.Clone(db.records)
	db.mu.Unlock()
	if len(records) == 0 {
		return nil, nil, nil
	}
	ops := &fileOps{lookupOps: lookupOps{db: db, failed: map[string]error{}}, files: map[string][]byte{}}
	for name, r := range records {
		if ops.files[name], err = r.format(h); err != nil {
			return nil, nil, fmt.Errorf("record %s: %w", name, err)
		}
	}
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
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	ops.files["supported"] = []byte{}
	ops.files["latest"] = h.msg
	return ops.files, h.msg, nil
}

// recordModule returns the module version that a record is of.
func recordModule(text []byte) (path, version string, err error) {
	f := strings.Fields(string(text))
	if len(f) < 3 {
		return "", "", errors.New("malformed record in checksum database")
	}
	return f[0], strings.TrimSuffix(f[1], "/go.mod"), nil
}

// fileOps is what a client runs on that has seen nothing before. It keeps the
// lookups, and each tile that the client reads.
type fileOps struct {
	lookupOps
	filesMu sync.Mutex
	files   map[string][]byte
}

func (o *fileOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(o.db.key), nil
	}
	return nil, nil
}

func (o *fileOps) WriteConfig(string, []byte, []byte) error { return nil }

func (o *fileOps) ReadCache(file string) ([]byte, error) {
	name := strings.TrimPrefix(file, o.db.name+"/")
	if strings.HasPrefix(name, "lookup/") {
		o.filesMu.Lock()
		defer o.filesMu.Unlock()
		if data, found := o.files[name]; found {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}
	data, err := o.db.cache.read(file)
	if err == nil {
		o.keep(name, data)
	}
	return data, err
}

func (o *fileOps) WriteCache(file string, data []byte) {
	o.keep(strings.TrimPrefix(file, o.db.name+"/"), data)
	o.lookupOps.WriteCache(file, data)
}

func (o *fileOps) keep(name string, data []byte) {
	o.filesMu.Lock()
	defer o.filesMu.Unlock()
	o.files[name] = data
}
