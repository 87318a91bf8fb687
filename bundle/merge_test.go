package bundle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/mod/module"
	xsumdb "golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"

	"github.com/goferry/goferry/bundle/sumdb"
)

// A mergeDB is a checksum database that knows every module.
type mergeDB struct {
	*httptest.Server
	signer, key string
	db          *xsumdb.TestServer
	real        map[string]RecordModule // sums that are not made up, by "path@version"
	since       [][]byte                // tree heads of earlier bundles
}

func newMergeDB(t *testing.T, name string) *mergeDB {
	t.Helper()
	signer, key, err := note.GenerateKey(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	return serveMergeDB(t, signer, key)
}

func serveMergeDB(t *testing.T, signer, key string) *mergeDB {
	t.Helper()
	db := &mergeDB{signer: signer, key: key, real: make(map[string]RecordModule)}
	db.db = xsumdb.NewTestServer(signer, func(path, version string) ([]byte, error) {
		m, ok := db.real[path+"@"+version]
		if !ok {
			m.Sum, m.GoModSum = mergeSum(path, version), mergeSum(path, version+"/go.mod")
		}
		return fmt.Appendf(nil, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", path, version, m.Sum, m.GoModSum), nil
	})
	db.Server = httptest.NewServer(xsumdb.NewServer(db.db))
	t.Cleanup(db.Close)
	return db
}

// mergeSum is a sum that no module has, but each its own.
func mergeSum(path, version string) string {
	return "h1:" + digest.FromString(path + "@" + version).Encoded()[:43] + "="
}

// grow adds n records.
func (db *mergeDB) grow(t *testing.T, prefix string, n int) {
	t.Helper()
	for i := range n {
		if _, err := db.db.Lookup(context.Background(), module.Version{Path: fmt.Sprintf("example.com/%s%d", prefix, i), Version: "v1.0.0"}); err != nil {
			t.Fatal(err)
		}
	}
}

// part makes the part of a bundle that has these modules, "path@version" and a word on it: "graph" for
// one without a zip, "private" for one that the database does not cover. Nil db: it has no database.
func (db *mergeDB) part(t *testing.T, name, noSumDB string, modules ...string) part {
	t.Helper()
	r := &Record{Format: formatVersion, Scope: "dev", NoSumDB: noSumDB}
	p := part{name, r, make(map[string][]byte)}
	var client *sumdb.DB
	if db != nil {
		r.SumDB = db.key
		var err error
		if client, err = sumdb.New(sumdb.Options{GOSUMDB: db.key + " " + db.URL, GOPROXY: "off", Since: db.since}); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range modules {
		name, word, _ := strings.Cut(line, " ")
		path, version, _ := strings.Cut(name, "@")
		m := RecordModule{Path: path, Version: version, Sum: mergeSum(path, version), GoModSum: mergeSum(path, version+"/go.mod")}
		switch {
		case strings.HasPrefix(word, "h1:"):
			m.Sum = word
		case word == "graph":
			m.Sum = ""
		}
		if m.NoSumDB = db == nil || word == "private"; !m.NoSumDB {
			if _, _, err := client.Lookup(t.Context(), path, version); err != nil {
				t.Fatal(err)
			}
		}
		r.Modules = append(r.Modules, m)
	}
	slices.SortFunc(r.Modules, compareModules)
	if client != nil {
		files, earlier, err := client.Files(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, head := range earlier {
			r.TreeHeads = append(r.TreeHeads, string(head))
		}
		for file, data := range files {
			p.files[downloadDir+"sumdb/"+client.Name()+"/"+file] = data
		}
	}
	var err error
	if p.files[recordName], err = r.encode(); err != nil {
		t.Fatal(err)
	}
	return p
}

// edit changes a file of the database.
func (p part) edit(name, data string) part {
	p.files = maps.Clone(p.files)
	name = downloadDir + "sumdb/sum.test/" + name
	if p.files[name] == nil {
		panic("no file " + name)
	}
	p.files[name] = []byte(data)
	return p
}

// What two bundles are together does not depend on their order, nor does what they are not.
func TestMerge(t *testing.T) {
	db, other := newMergeDB(t, "sum.test"), newMergeDB(t, "sum.other")
	fork := serveMergeDB(t, db.signer, db.key)
	fork.grow(t, "fork", 400)
	db.grow(t, "before", 300)
	a := db.part(t, "A", "", "example.com/a@v1.0.0", "example.com/b@v1.0.0 graph")
	same := db.part(t, "B", "", "example.com/b@v1.0.0", "example.com/c@v1.0.0 graph")
	private := db.part(t, "B", "corp.example,other.example", "corp.example/x@v1.0.0 private")
	plain := (*mergeDB)(nil)
	db.grow(t, "between", 300)
	later := db.part(t, "C", "", "example.com/d@v1.0.0")
	db.since = [][]byte{a.files[downloadDir+"sumdb/sum.test/latest"]}
	next := db.part(t, "N", "", "example.com/n@v1.0.0")
	db.grow(t, "more", 300)
	db.since = append(db.since, next.files[downloadDir+"sumdb/sum.test/latest"])
	last := db.part(t, "L", "", "example.com/l@v1.0.0")
	db.since = db.since[1:]
	lastAlone := db.part(t, "L", "", "example.com/l@v1.0.0")
	for _, test := range []struct {
		name    string
		parts   []part
		noSumDB string
		modules string // what the site has; * marks what the database does not cover, - what has no zip
		err     error  // or what is wrong
		says    string
	}{
		{"alone", []part{a}, "", "a b-", nil, ""},
		{"twice", []part{a, a}, "", "a b-", nil, ""},
		{"a module with a zip here, and without one there", []part{a, same}, "", "a b c-", nil, ""},
		{"one excepts its own modules", []part{a, private}, "corp.example,other.example", "corp.example/x* a b-", nil, ""},
		{"two except the same", []part{private, private, a}, "corp.example,other.example", "corp.example/x* a b-", nil, ""},
		{"one has no database", []part{a, plain.part(t, "P", "", "example.com/p@v1.0.0", "example.com/q@v1.0.0 graph")},
			"example.com/p,example.com/q", "a b- p* q-*", nil, ""},
		{"one without a database has what the other proves", []part{a, plain.part(t, "P", "x", "example.com/b@v1.0.0")}, "", "a b", nil, ""},
		{"none has a database", []part{plain.part(t, "P", "x", "example.com/p@v1.0.0"), plain.part(t, "Q", "y,x", "example.com/q@v1.0.0")}, "x,y", "p* q*", nil, ""},

		{"another day", []part{a, next}, "", "a b- n", nil, ""},
		{"a third day", []part{a, next, last}, "", "a b- l n", nil, ""},
		{"a third day that goes on from the second alone", []part{next, lastAlone}, "", "l n", nil, ""},

		{"two zips of one version", []part{a, db.part(t, "B", "", "example.com/a@v1.0.0 h1:other=")}, "", "", ErrMismatch, "example.com/a@v1.0.0"},
		{"two databases", []part{a, other.part(t, "B", "", "example.com/b@v1.0.0")}, "", "", ErrMismatch, "checksum database"},
		{"one excepts what the other proves", []part{a, db.part(t, "B", "example.com/a", "example.com/a/x@v1.0.0 private")}, "", "", ErrMismatch, "example.com/a@v1.0.0"},
		{"one without a database has another version of what the other proves", []part{a, plain.part(t, "B", "", "example.com/a@v1.1.0")}, "", "", ErrMismatch, "example.com/a@v1.0.0"},
		{"one without a database has another zip than is recorded", []part{a, plain.part(t, "B", "", "example.com/b@v1.0.0 h1:evil=")}, "", "", ErrMismatch, "example.com/b@v1.0.0"},
		{"a tile of another tree", []part{a, a.edit("tile/8/0/001.p/46", "x").named("B")}, "", "", ErrMismatch, "tile/8/0/001"},
		{"two histories", []part{a, fork.part(t, "B", "", "example.com/b@v1.0.0")}, "", "", ErrMismatch, "checksum database"},
		{"a lookup of another record", []part{a, a.edit("lookup/example.com/a@v1.0.0", "1\nexample.com/a v1.0.0 h1:x=\n\n").named("B")}, "", "", ErrMismatch, "lookup/"},
		{"a third day that goes on from the second alone, with the first", []part{a, lastAlone.named("B")}, "", "", ErrIncomplete, "does not connect"},
		{"tree heads that do not connect", []part{a, later.named("B")}, "", "", ErrIncomplete, "does not connect"},
	} {
		t.Run(test.name, func(t *testing.T) {
			backwards := slices.Clone(test.parts)
			slices.Reverse(backwards)
			for _, parts := range [][]part{test.parts, backwards} {
				m, err := merge(parts)
				if test.err != nil {
					if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "A") || !strings.Contains(err.Error(), "B") {
						t.Errorf("merge: %v, want %v with %q, A and B", err, test.err, test.says)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := m.record.words(); got != test.modules || m.record.NoSumDB != test.noSumDB {
					t.Errorf("merge has %q without %q, want %q without %q", got, m.record.NoSumDB, test.modules, test.noSumDB)
				}
				checkMerged(t, m)
				if data, err := m.record.encode(); err != nil {
					t.Error(err)
				} else if _, err := parseRecord(data); err != nil {
					t.Errorf("the record: %v", err)
				}
			}
		})
	}
}

// checkMerged does what a go command will do.
func checkMerged(t *testing.T, m *merged) {
	t.Helper()
	if m.record.SumDB == "" {
		return
	}
	var expect []sumdb.Expect
	for _, entry := range m.record.Modules {
		if !entry.NoSumDB {
			expect = append(expect, sumdb.Expect{Path: entry.Path, Version: entry.Version, Sum: entry.Sum, ModSum: entry.GoModSum})
		}
	}
	name, key, err := sumdb.VerifierKey(m.record.SumDB)
	if err != nil {
		t.Fatal(err)
	}
	if err := sumdb.Check(readSumDB(m.sumdb, sumDBDir(name)), key, expect); err != nil {
		t.Errorf("the go command: %v", err)
	}
}

// A site leads on from every head that its newest bundle, or the union, leads on from.
func TestMergeEarlierHeads(t *testing.T) {
	db := newMergeDB(t, "sum.test")
	var parts []part
	for i := range 3 {
		db.grow(t, fmt.Sprintf("day%d-", i), 300)
		parts = append(parts, db.part(t, fmt.Sprint(i), "", fmt.Sprintf("example.com/m%d@v1.0.0", i)))
		db.since = append(db.since, parts[i].files[downloadDir+"sumdb/sum.test/latest"])
	}
	for _, parts := range [][]part{parts, {parts[2], parts[0]}, {parts[2]}} {
		m, err := merge(parts)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{string(db.since[0]), string(db.since[1])}; !slices.Equal(m.record.TreeHeads, want) {
			t.Errorf("%d bundles lead on from %q, want %q", len(parts), m.record.TreeHeads, want)
		}
	}
}

func (p part) named(name string) part {
	p.name = name
	return p
}

// words lists the modules of a record in short.
func (r *Record) words() string {
	var words []string
	for _, m := range r.Modules {
		word := strings.TrimPrefix(m.Path, "example.com/")
		if m.Sum == "" {
			word += "-"
		}
		if m.NoSumDB {
			word += "*"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// One bundle alone is what it was.
func TestMergeOne(t *testing.T) {
	one, _ := siteBundles(t)
	record, files, err := one.openGraph(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := merge([]part{{"one", record, files}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.record.encode(); err != nil || string(got) != string(files[recordName]) {
		t.Errorf("the record is\n%s\nwas\n%s", got, files[recordName])
	}
}
