package sumdb

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb"
)

// A ConnectError names two tree heads, by the sizes of their trees, that do not
// connect.
type ConnectError struct {
	Older, Newer int64
	Err          error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("checksum database: from tree head %d to %d: %v", e.Older, e.Newer, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

// Connect proves that a go command which has seen any of the signed tree heads
// can meet any other of them with no more than these files of the database: the
// tiles that it asks for show the smaller tree to be the beginning of the larger
// one. The error is a [ConnectError]: that of files if one could not be
// read, and [ErrSecurity] if the trees contradict each other. A head that does
// not verify with the key is [ErrSecurity] too.
func Connect(files func(name string) ([]byte, error), verifierKey string, heads [][]byte) error {
	var all []head
	for _, msg := range heads {
		h, err := openHeadNote(msg, verifierKey)
		if err != nil {
			return fmt.Errorf("signed tree head: %w: %w", ErrSecurity, err)
		}
		all = append(all, h)
	}
	slices.SortStableFunc(all, func(a, b head) int { return cmp.Compare(a.n, b.n) })
	for i, newer := range all {
		for _, older := range all[:i] {
			if err := connect(files, verifierKey, older, newer); err != nil {
				return &ConnectError{older.n, newer.n, err}
			}
		}
	}
	return nil
}

func connect(files func(name string) ([]byte, error), verifierKey string, older, newer head) error {
	if older.n == newer.n {
		if older.hash == newer.hash {
			return nil
		}
		return fmt.Errorf("%w: two trees of one size", ErrSecurity)
	}
	ops := &connectOps{replayOps: replayOps{files: files, key: verifierKey}, seen: older, next: newer}
	if _, err := sumdb.NewClient(ops).Lookup("go.sum", fmt.Sprint(newer.n)); !ops.connected {
		return ops.explain(err)
	}
	return nil
}

// connectOps is what a client runs on that has seen one head, and is answered
// under the next. That it remembers the next one shows that it has proven it.
// The record is none that this head covers, so no tile is read for it.
type connectOps struct {
	replayOps
	seen, next head
	connected  bool
}

func (o *connectOps) ReadConfig(file string) ([]byte, error) {
	if file == "key" {
		return []byte(o.key), nil
	}
	return o.seen.msg, nil
}

func (o *connectOps) WriteConfig(_ string, _, new []byte) error {
	o.connected = bytes.Equal(new, o.next.msg)
	return nil
}

func (o *connectOps) ReadRemote(path string) ([]byte, error) {
	if strings.HasPrefix(path, "/lookup/") {
		return record{o.next.n, []byte("a record\n")}.format(o.next)
	}
	return o.replayOps.ReadRemote(path)
}
