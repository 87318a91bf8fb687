package sumdb

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// lookupOps is what the client of Lookup runs on.
type lookupOps struct {
	db *DB

	mu       sync.Mutex
	failed   map[string]error // what the network said, by path
	tileErr  error            // the first of those for a tile
	security string
}

// ReadConfig gives the remembered head as the one to have grown from, even if
// the caller chose another: that is how a fork would be seen.
func (o *lookupOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(o.db.key), nil
	}
	return o.db.remembered().msg, nil
}

func (o *lookupOps) WriteConfig(_ string, _, new []byte) error { return o.db.remember(new) }

// ReadRemote gives the client a lookup under the one head.
func (o *lookupOps) ReadRemote(path string) ([]byte, error) {
	name := strings.TrimPrefix(path, "/")
	data, err := o.db.remote.read(name)
	if err == nil && strings.HasPrefix(name, "lookup/") {
		data, err = o.rewrite(name, data)
	}
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.failed[name] = err
		if strings.HasPrefix(name, "tile/") && !errors.Is(err, fs.ErrNotExist) && o.tileErr == nil {
			o.tileErr = err
		}
	}
	return data, err
}

// rewrite notes the record of a lookup and puts the one head to it. The record
// is not proven yet, but Files proves each again.
func (o *lookupOps) rewrite(name string, data []byte) ([]byte, error) {
	r, own, err := parseLookup(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecurity, err)
	}
	// A proxy could answer with the record of another module.
	path, version, err := recordModule(r.text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSecurity, err)
	}
	if of, err := lookupFile(path, version); err != nil || of != name {
		return nil, fmt.Errorf("%w: %s is the record of %s@%s", ErrSecurity, name, path, version)
	}
	h, err := o.db.headFor(r.id, own)
	if err != nil {
		return nil, err
	}
	o.db.mu.Lock()
	o.db.records[name] = r
	o.db.mu.Unlock()
	return r.format(h)
}

func (o *lookupOps) ReadCache(file string) ([]byte, error) {
	data, err := o.db.cache.read(file)
	if err != nil {
		return nil, err
	}
	if name, isOurs := strings.CutPrefix(file, o.db.name+"/"); isOurs && strings.HasPrefix(name, "lookup/") {
		return o.rewrite(name, data)
	}
	return data, nil
}

func (o *lookupOps) WriteCache(file string, data []byte) { o.db.cache.write(file, data) }
func (o *lookupOps) Log(string)                          {}

func (o *lookupOps) SecurityError(msg string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.security = msg
}

// explain finds the kind of an error of the client, which hands on only its
// words. What is neither the network's fault nor a missing record contradicts
// a signature.
func (o *lookupOps) explain(path, version string, err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	what := fmt.Sprintf("look up %s@%s in %s", path, version, o.db.name)
	name, _ := lookupFile(path, version)
	cause := o.failed[name]
	if cause == nil && o.security == "" {
		cause = o.tileErr
	}
	switch {
	case name == "":
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(cause, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", what, ErrNotRecorded)
	case cause != nil:
		return fmt.Errorf("%s: %w", what, cause)
	case o.security != "":
		return fmt.Errorf("%s: %w: %s", what, ErrSecurity, o.security)
	}
	return fmt.Errorf("%s: %w: %w", what, ErrSecurity, err)
}
