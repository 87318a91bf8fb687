package sumdb

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/note"
)

const dbName = "sum.test/db"

// A testDB is a checksum database on 127.0.0.1 that knows every module whose
// path does not begin with "missing.example", and is also a proxy for itself.
type testDB struct {
	*httptest.Server
	key      string // of the verifier
	signer   string
	db       *sumdb.TestServer
	requests atomic.Int64
	records  func(path, version string) string // in place of made-up ones; may be nil
	auth     string                            // basic authorisation to insist on

	mu     sync.Mutex
	answer func(name string, data []byte) []byte // changes what is served; may be nil
}

func newTestDB(t testing.TB) *testDB {
	t.Helper()
	signer, verifier, err := note.GenerateKey(nil, dbName)
	if err != nil {
		t.Fatal(err)
	}
	s := &testDB{key: verifier, signer: signer}
	s.db = sumdb.NewTestServer(signer, s.record)
	s.Server = httptest.NewServer(http.StripPrefix("/sumdb/"+dbName, s))
	t.Cleanup(s.Close)
	return s
}

// record makes up what the database says of a module.
func (s *testDB) record(path, version string) ([]byte, error) {
	if strings.HasPrefix(path, "missing.example") {
		return nil, os.ErrNotExist
	}
	if s.records != nil && s.records(path, version) != "" {
		return []byte(s.records(path, version)), nil
	}
	sum, modSum := testSums(path, version)
	return fmt.Appendf(nil, "%s %s %s\n%s %s/go.mod %s\n", path, version, sum, path, version, modSum), nil
}

// testSums are sums which no module has, but each module its own.
func testSums(path, version string) (sum, modSum string) {
	id := strings.NewReplacer("/", "", ".", "", "@", "").Replace(path + version)
	id = (id + strings.Repeat("A", 43))[:43] + "="
	return "h1:" + id, "h1:" + strings.ToUpper(id)
}

// grow adds n records that nobody asks for.
func (s *testDB) grow(t testing.TB, prefix string, n int) {
	t.Helper()
	for i := range n {
		m := module.Version{Path: prefix, Version: fmt.Sprintf("v1.0.%d", i)}
		if _, err := s.db.Lookup(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *testDB) head(t testing.TB) []byte {
	t.Helper()
	msg, err := s.db.Signed(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

func (s *testDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	if user, password, _ := r.BasicAuth(); s.auth != "" && user+":"+password != s.auth {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/supported" {
		return
	}
	rec := httptest.NewRecorder()
	sumdb.NewServer(s.db).ServeHTTP(rec, r)
	data := rec.Body.Bytes()
	s.mu.Lock()
	change := s.answer
	s.mu.Unlock()
	if change != nil && rec.Code == http.StatusOK {
		data = change(strings.TrimPrefix(r.URL.Path, "/"), data)
	}
	w.WriteHeader(rec.Code)
	w.Write(data)
}

// set makes the server change what it serves.
func (s *testDB) set(change func(name string, data []byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = change
}

// open returns a DB that reaches s through GOPROXY, with its cache in dir.
func (s *testDB) open(t testing.TB, dir string, head []byte) *DB {
	t.Helper()
	opts := Options{GOSUMDB: s.key, GOPROXY: s.URL + ",direct", CacheDir: dir}
	if head != nil {
		opts.Heads = [][]byte{head}
	}
	db, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// lookUp looks the modules ("path@version") up, and compares.
func lookUp(t testing.TB, db *DB, mods ...string) {
	t.Helper()
	for _, m := range mods {
		path, version, _ := strings.Cut(m, "@")
		sum, modSum, err := db.Lookup(context.Background(), path, version)
		wantSum, wantMod := testSums(path, version)
		if err != nil || sum != wantSum || modSum != wantMod {
			t.Fatalf("Lookup(%s) = %s, %s, %v", m, sum, modSum, err)
		}
	}
}

func files(t testing.TB, db *DB) map[string][]byte {
	t.Helper()
	files, _, err := db.Files(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func expect(mods ...string) []Expect {
	var all []Expect
	for _, m := range mods {
		path, version, _ := strings.Cut(m, "@")
		sum, modSum := testSums(path, version)
		all = append(all, Expect{path, version, sum, modSum})
	}
	return all
}

var errMissing = errors.New("no such file in the set")

func reader(files map[string][]byte) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		data, found := files[name]
		if !found {
			return nil, fmt.Errorf("%s: %w", name, errMissing)
		}
		return data, nil
	}
}

func writeTree(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
