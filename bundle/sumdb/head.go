package sumdb

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A head is a signed tree head whose signature was checked. The zero head is
// none, and covers no record.
type head struct {
	msg  []byte
	n    int64 // records in the tree
	hash tlog.Hash
}

// HeadSize checks the signature of a tree head, and returns how many records
// its tree has.
func HeadSize(msg []byte, verifierKey string) (int64, error) {
	h, err := openHeadNote(msg, verifierKey)
	if err != nil {
		return 0, fmt.Errorf("signed tree head: %w: %w", ErrSecurity, err)
	}
	return h.n, nil
}

// openHeadNote checks the signature of a tree head.
func openHeadNote(msg []byte, key string) (head, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return head{}, err
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return head{}, err
	}
	tree, err := tlog.ParseTree([]byte(n.Text))
	if err != nil {
		return head{}, err
	}
	return head{msg, tree.N, tree.Hash}, nil
}

// openHead sets the head to begin with. A remembered one that does not open
// is forgotten: it was cut short, or the key is another now.
func (db *DB) openHead(given []byte) error {
	if len(given) > 0 {
		h, err := openHeadNote(given, db.key)
		if err != nil {
			return fmt.Errorf("signed tree head of %s: %w: %w", db.name, ErrSecurity, err)
		}
		db.head = h
		return nil
	}
	db.head = db.remembered()
	return nil
}

// remembered returns the newest head seen in earlier runs.
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
