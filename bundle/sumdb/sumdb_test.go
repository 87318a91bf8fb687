package sumdb

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

var some = []string{"example.com/a@v1.0.0", "example.com/Upper/B@v1.2.0-RC1", "example.com/c/v2@v2.0.0", "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"}

// The same modules and the same head give the same bytes, whatever was looked
// up in which order, cached or seen before; and each set stands for itself.
func TestFilesDependOnModulesAndHead(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/before", 300)
	dir := t.TempDir()
	db := s.open(t, dir, nil)
	lookUp(t, db, some...)
	want := files(t, db)
	head := want["latest"]
	if err := Check(reader(want), s.key, expect(some...)); err != nil {
		t.Fatal(err)
	}
	for _, m := range some {
		if err := Check(reader(want), s.key, expect(m)); err != nil {
			t.Errorf("alone: %v", err)
		}
	}
	s.grow(t, "example.com/after", 600)

	same := func(name string, db *DB, mods []string) {
		t.Run(name, func(t *testing.T) {
			lookUp(t, db, mods...)
			got := files(t, db)
			if !maps.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("files are %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
			}
		})
	}
	backwards := slices.Clone(some)
	slices.Reverse(backwards)
	same("remembered head, warm cache", s.open(t, dir, nil), backwards)
	same("given head, no cache", s.open(t, "", head), backwards)
	same("given head, older than the remembered one", func() *DB {
		dir := t.TempDir()
		lookUp(t, s.open(t, dir, nil), "example.com/after@v1.0.599")
		return s.open(t, dir, head)
	}(), some)
	before := s.requests.Load()
	same("without the network", s.open(t, dir, nil), some)
	if n := s.requests.Load() - before; n > 0 {
		t.Errorf("%d requests for what is in the cache", n)
	}
}

// Every file is needed: without any one of them a check fails, and a changed
// one is not believed.
func TestFilesAreMinimalAndChecked(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/before", 300)
	db := s.open(t, "", nil)
	lookUp(t, db, some...)
	all := files(t, db)
	for name, data := range all {
		if name == "supported" || name == "latest" {
			continue
		}
		less := maps.Clone(all)
		delete(less, name)
		if err := Check(reader(less), s.key, expect(some...)); !errors.Is(err, errMissing) {
			t.Errorf("without %s: %v", name, err)
		}
		changed := maps.Clone(all)
		changed[name] = bytes.Clone(data)
		changed[name][len(data)/2] ^= 1
		if err := Check(reader(changed), s.key, expect(some...)); !errors.Is(err, ErrSecurity) {
			t.Errorf("with %s changed: %v", name, err)
		}
	}
	wrong := expect(some...)
	wrong[2].ModSum = wrong[1].ModSum
	err := Check(reader(all), s.key, wrong)
	if e, ok := errors.AsType[*CheckError](err); !ok || e.Path != wrong[2].Path || !errors.Is(err, ErrSecurity) {
		t.Errorf("wrong sum: %v", err)
	}
	_, other, _ := note.GenerateKey(nil, dbName)
	if err := Check(reader(all), other, expect(some...)); !errors.Is(err, ErrSecurity) {
		t.Errorf("another key: %v", err)
	}
}

// A head that does not cover a record gives way to a newer one, which is
// remembered; then all files are under that one.
func TestNewerHead(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/before", 10)
	dir := t.TempDir()
	lookUp(t, s.open(t, dir, nil), "example.com/before@v1.0.3")
	old := s.head(t)
	s.grow(t, "example.com/after", 300)

	db := s.open(t, dir, old)
	lookUp(t, db, "example.com/before@v1.0.3", "example.com/after@v1.0.250")
	all := files(t, db)
	if bytes.Equal(all["latest"], old) {
		t.Fatal("the head is still the old one")
	}
	if err := Check(reader(all), s.key, expect("example.com/after@v1.0.250", "example.com/before@v1.0.3")); err != nil {
		t.Error(err)
	}
	again := s.open(t, dir, nil)
	lookUp(t, again, "example.com/before@v1.0.3")
	if got := files(t, again)["latest"]; !bytes.Equal(got, all["latest"]) {
		t.Errorf("remembered head is %q, want %q", got, all["latest"])
	}
}

func TestConcurrent(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 200)
	db := s.open(t, t.TempDir(), nil)
	var wg sync.WaitGroup
	for _, m := range some {
		wg.Go(func() { lookUp(t, db, m) })
	}
	wg.Wait()
	if err := Check(reader(files(t, db)), s.key, expect(some...)); err != nil {
		t.Error(err)
	}
}

func TestCovers(t *testing.T) {
	s := newTestDB(t)
	for _, test := range []struct {
		gosumdb, gonosumdb, goprivate, path string
		want                                bool
	}{
		{s.key, "", "", "example.com/a", true},
		{s.key, "example.com", "", "example.com/a", false},
		{s.key, "", "*.corp,example.com/a", "example.com/a/b", false},
		{s.key, "none", "example.com", "example.com/a", true},
		{s.key, "*", "", "golang.org/toolchain", true},
		{"off", "", "", "example.com/a", false},
		{"off", "", "", "golang.org/toolchain", false},
	} {
		db, err := New(Options{GOSUMDB: test.gosumdb, GONOSUMDB: test.gonosumdb, GOPRIVATE: test.goprivate})
		if err != nil {
			t.Fatal(err)
		}
		if got := db.Covers(test.path); got != test.want {
			t.Errorf("Covers(%s) with %+v = %t", test.path, test, got)
		}
		if (db.Name() == "") != (test.gosumdb == "off") {
			t.Errorf("Name = %q with GOSUMDB=%s", db.Name(), test.gosumdb)
		}
	}
}

func TestNothingLookedUp(t *testing.T) {
	s := newTestDB(t)
	if files, head, err := s.open(t, "", nil).Files(t.Context()); len(files) != 0 || head != nil || err != nil {
		t.Errorf("Files = %v, %q, %v", files, head, err)
	}
	if s.requests.Load() > 0 {
		t.Error("a database that nobody asks is contacted")
	}
}

// A damaged cache costs requests and nothing else.
func TestDamagedCache(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 300)
	dir := t.TempDir()
	db := s.open(t, dir, nil)
	lookUp(t, db, some...)
	want := files(t, db)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "latest" {
			return err
		}
		return os.Truncate(name, 7)
	})
	if err != nil {
		t.Fatal(err)
	}
	db = s.open(t, dir, nil)
	lookUp(t, db, some...)
	if got := files(t, db); !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("files are %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
