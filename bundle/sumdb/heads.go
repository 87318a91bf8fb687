package sumdb

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// packedFile keeps the heads of the bundles that were packed, in the cache
// below the database's name.
const packedFile = "packed"

// RememberPacked notes below cacheDir (see [Options]) that a bundle was made
// with the head: go commands may see it, so the bundles to come lead on from it.
//
// The file is only appended to, each head after an empty line, and what cannot
// be read of it is no head. That a head cannot be kept is no error, as it is
// none to have packed on another machine.
func RememberPacked(cacheDir, name string, head []byte) {
	file := filepath.Join(cacheDir, filepath.FromSlash(name), packedFile)
	known, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || bytes.Contains(known, head) || os.MkdirAll(filepath.Dir(file), 0o755) != nil {
		return
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	f.Write(append([]byte("\n"), head...))
}

// openHeads sets the head to begin with, and the earlier ones.
func (db *DB) openHeads(opts Options) error {
	given, err := db.openGiven(opts.Heads)
	if err != nil {
		return err
	}
	since, err := db.openGiven(opts.Since)
	if err != nil {
		return err
	}
	var seen head
	if len(given) == 0 {
		given, seen = db.packed(), db.remembered()
	} else if older, newer := newest(given).n, newest(since).n; older < newer {
		return fmt.Errorf("tree head %d of %s is older than %d, which go commands may have seen", older, db.name, newer)
	}
	db.earlier = append(given, since...)
	db.head = newest(append(db.earlier, seen))
	return nil
}

func (db *DB) openGiven(msgs [][]byte) ([]head, error) {
	var heads []head
	for _, msg := range msgs {
		h, err := openHeadNote(msg, db.key)
		if err != nil {
			return nil, fmt.Errorf("signed tree head of %s: %w: %w", db.name, ErrSecurity, err)
		}
		heads = append(heads, h)
	}
	return heads, nil
}

// remembered returns the newest head seen in earlier runs. One that does not
// open is forgotten: it was cut short, or the key is another now.
func (db *DB) remembered() head {
	data, err := db.cache.readOwn(db.name + "/latest")
	if err != nil {
		return head{}
	}
	h, err := openHeadNote(data, db.key)
	if err != nil {
		return head{}
	}
	return h
}

// packed returns the heads that [RememberPacked] was told, as remembered does.
func (db *DB) packed() []head {
	data, err := db.cache.readOwn(db.name + "/" + packedFile)
	if err != nil {
		return nil
	}
	var heads []head
	for _, msg := range SplitHeads(data) {
		if h, err := openHeadNote(msg, db.key); err == nil {
			heads = append(heads, h)
		}
	}
	return heads
}

// headFor returns the head to use once there is a record with the given id,
// which the database sent along with the head own. It is the present one if
// that covers the record, else the remembered one, else the database's newest.
func (db *DB) headFor(id int64, own []byte) (head, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if id < db.head.n {
		return db.head, nil
	}
	if h := db.remembered(); id < h.n {
		db.head = h
		return h, nil
	}
	data, err := db.remote.read("latest")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return head{}, err
	}
	for _, msg := range [][]byte{data, own} {
		if h, err := openHeadNote(msg, db.key); err == nil && id < h.n {
			db.head = h
			return h, nil
		}
	}
	return head{}, fmt.Errorf("%w: no signed tree head covers record %d", ErrSecurity, id)
}

// remember keeps the head for later runs, if it is the newest yet.
func (db *DB) remember(msg []byte) error {
	h, err := openHeadNote(msg, db.key)
	if err != nil {
		return err
	}
	if h.n > db.remembered().n {
		db.cache.write(db.name+"/latest", msg)
	}
	return nil
}
