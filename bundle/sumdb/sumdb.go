// Package sumdb asks the checksum database about modules, and records what
// another go command needs to check the same modules without a network.
//
// # The protocol is not ours
//
// Everything is proven by golang.org/x/mod/sumdb.Client, the code that the go
// command itself runs: that a record is in the tree which the database signed,
// and that this tree has grown out of the one that we saw last. This package
// gives the client its files and its network, finds the database as the go
// command does (explicit URL in GOSUMDB, else through the proxies of GOPROXY,
// else directly), and watches which tiles the client reads.
//
// # One tree head
//
// The database answers each lookup with the signed tree head that it had when
// the answer was cached. A client that is given such answers must prove each
// head to be consistent with each other, which takes tiles that depend on the
// order of the lookups. But the head is no part of the record: every lookup is
// rewritten to one head, and then a fresh client needs the same few tiles
// whatever it asks first. Nothing is forged by that: the head is signed, and
// the client proves the record to be in its tree.
//
// The database grows every minute. So that the same modules give the same
// files on any day, the head is an input: the one that the caller gives, else
// the one that was remembered, and a newer one only if that does not cover
// some record. A new head is proven to descend from the remembered one.
//
// # Earlier heads
//
// A go command that has seen a head accepts another only if it can prove that
// one tree is the beginning of the other, for which it reads other tiles than
// for a record. So the files have those as well that lead to the head from the
// heads before it: from each that was packed with (RememberPacked), and each
// that the caller knows of, but no more than the newest MaxEarlier. They are an
// input like the head, and a caller who gives the head gets only the earlier
// ones that it gives too.
//
// [Connect] says whether a go command can go from any head to any other, with
// the files of several sets laid together.
//
// One possibility would be to carry the tiles from every head that there has
// been. But nobody has those, and a tree of n records needs them all in the end.
//
// # Files
//
// Below the database's name, as below <proxy>/sumdb/ and GOMODCACHE/cache/
// download/sumdb/:
//
//	supported                    empty: this proxy answers for the database
//	lookup/<path>@<version>      the record and the head
//	tile/8/<level>/<number>      256 hashes, tile/8/…​.p/<n> the first n
//	latest                       the head
//
// In the cache there is also packed: the heads that were packed with.
//
// One possibility would be to copy the answers and tiles that a go command
// leaves in its cache. But those prove the records to that go command only,
// with its own head and history: another one asks for tiles that are not there.
//
// # Left out
//
// Of GOAUTH only "netrc" and "off" are followed. The go command's exceptions
// for a GOPROXY of one file:// URL are not: whoever packs wants the proof.
package sumdb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
)

var (
	// ErrNotRecorded says that the database has no such module version.
	ErrNotRecorded = errors.New("not in the checksum database")
	// ErrNetwork says that the database, or a proxy for it, did not answer.
	ErrNetwork = errors.New("checksum database unreachable")
	// ErrSecurity says that an answer contradicts what the database signed.
	ErrSecurity = errors.New("checksum database answer is not authentic")
)

// Options say which database to ask, and how.
type Options struct {
	// As "go env" prints them.
	GOSUMDB, GONOSUMDB, GOPRIVATE, GOPROXY string

	// CacheDir keeps lookups, tiles and the newest head seen, in the layout of
	// GOMODCACHE/cache/download/sumdb. It is created when needed; "" keeps nothing.
	CacheDir   string
	ReadCaches []string // more directories of that layout, which are only read

	// Heads are signed tree heads in any order: the newest is the one to use,
	// go commands may have seen the others. Nil means those that CacheDir
	// remembers. A newer one is used if none of them covers every record.
	Heads [][]byte
	// Since are more heads that go commands may have seen. It is an error if
	// one is newer than all of Heads; where those are nil, it may be the one to use.
	Since [][]byte

	Netrc     string            // name of a netrc file with credentials; "" means none
	Transport http.RoundTripper // nil means http.DefaultTransport
}

// A DB is a connection to the checksum database, for concurrent use.
type DB struct {
	name, key string
	noSum     string
	cache     cache
	remote    *remote
	client    *sumdb.Client
	ops       *lookupOps

	earlier []head // that go commands may have seen, or the head itself

	mu      sync.Mutex
	head    head
	records map[string]record // by name of the lookup file
}

// New returns the database that opts name. It opens no connection.
func New(opts Options) (*DB, error) {
	db := &DB{noSum: opts.GONOSUMDB, records: map[string]record{}}
	if db.noSum == "" {
		db.noSum = opts.GOPRIVATE
	}
	if opts.GOSUMDB == "off" {
		return db, nil
	}
	var url string
	var err error
	if db.name, db.key, url, err = parseGOSUMDB(opts.GOSUMDB); err != nil {
		return nil, err
	}
	if db.remote, err = newRemote(db.name, url, opts); err != nil {
		return nil, err
	}
	db.cache = cache{dir: opts.CacheDir, more: opts.ReadCaches}
	if err := db.openHeads(opts); err != nil {
		return nil, err
	}
	db.ops = &lookupOps{db: db, failed: map[string]error{}}
	db.client = sumdb.NewClient(db.ops)
	return db, nil
}

// Name returns the database's name, "" if GOSUMDB=off.
func (db *DB) Name() string { return db.name }

// Key returns the verifier key of the database, "" if GOSUMDB=off.
func (db *DB) Key() string { return db.key }

// Covers reports whether the user lets the database answer for a module.
// Toolchains are always covered, as they are for the go command.
func (db *DB) Covers(path string) bool {
	if db.name == "" {
		return false
	}
	return path == "golang.org/toolchain" || !module.MatchPrefixPatterns(db.noSum, path)
}

// Lookup returns the sums of a module's zip and go.mod that the database has,
// proven to be in its tree. The caller has asked Covers. The error is
// [ErrNotRecorded], [ErrNetwork] or [ErrSecurity] to errors.Is, or that of ctx.
func (db *DB) Lookup(ctx context.Context, path, version string) (sum, modSum string, err error) {
	if db.name == "" {
		return "", "", fmt.Errorf("look up %s@%s: checksum database disabled by GOSUMDB=off", path, version)
	}
	type answer struct {
		sum, modSum string
		err         error
	}
	// The client knows no context. A request that is under way when ctx ends
	// is left to end by its own timeout.
	done := make(chan answer, 1)
	go func() {
		var a answer
		if a.sum, a.err = lookupSum(db.client, path, version); a.err == nil {
			a.modSum, a.err = lookupSum(db.client, path, version+"/go.mod")
		}
		done <- a
	}()
	select {
	case <-ctx.Done():
		return "", "", fmt.Errorf("look up %s@%s: %w", path, version, ctx.Err())
	case a := <-done:
		if a.err != nil {
			return "", "", db.ops.explain(path, version, a.err)
		}
		return a.sum, a.modSum, nil
	}
}

// lookupSum returns the one h1: sum of a record, "" if the record has none.
func lookupSum(client *sumdb.Client, path, version string) (string, error) {
	lines, err := client.Lookup(path, version)
	if err != nil {
		return "", err
	}
	sum := ""
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 3 || !strings.HasPrefix(f[2], "h1:") {
			continue
		}
		if sum != "" && sum != f[2] {
			return "", fmt.Errorf("record of %s@%s has two sums", path, version)
		}
		sum = f[2]
	}
	return sum, nil
}

// lookupFile names the file of a lookup below the database's name.
func lookupFile(path, version string) (string, error) {
	p, err := module.EscapePath(path)
	if err != nil {
		return "", err
	}
	v, err := module.EscapeVersion(version)
	if err != nil {
		return "", err
	}
	return "lookup/" + p + "@" + v, nil
}
