package sumdb

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb"
)

// pack looks a module up, takes the files, and remembers the head, as one does who packs a bundle with it.
func (s *testDB) pack(t *testing.T, dir, mod string, opts Options) (files map[string][]byte, earlier [][]byte) {
	t.Helper()
	opts.GOSUMDB, opts.GOPROXY, opts.CacheDir = s.key, s.URL, dir
	db, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	lookUp(t, db, mod)
	files, earlier, err = db.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if dir != "" {
		RememberPacked(dir, dbName, files["latest"])
	}
	return files, earlier
}

func sizes(t *testing.T, s *testDB, heads [][]byte) (all []int64) {
	t.Helper()
	for _, h := range heads {
		n, err := HeadSize(h, s.key)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// Who packs again leads on from the heads packed with before, whatever the cache still has, and
// with nothing changed the files are the same.
func TestEarlierHeads(t *testing.T) {
	s := newTestDB(t)
	dir := t.TempDir()
	var heads [][]byte
	for i, n := range []int{30, 300, 700} {
		s.grow(t, fmt.Sprintf("example.com/grown%d", i), n)
		mod := fmt.Sprintf("example.com/grown%d@v1.0.%d", i, n-1)
		set, earlier := s.pack(t, dir, mod, Options{})
		if !slices.EqualFunc(earlier, heads, bytes.Equal) {
			t.Errorf("bundle %d: earlier heads %v", i, sizes(t, s, earlier))
		}
		again, _ := s.pack(t, dir, mod, Options{})
		if !maps.EqualFunc(again, set, bytes.Equal) {
			t.Errorf("bundle %d again has %v, before it had %v", i, slices.Sorted(maps.Keys(again)), slices.Sorted(maps.Keys(set)))
		}
		same, _ := s.pack(t, "", mod, Options{Heads: append([][]byte{set["latest"]}, heads...)})
		if !maps.EqualFunc(same, set, bytes.Equal) {
			t.Errorf("bundle %d elsewhere has %v, want %v", i, slices.Sorted(maps.Keys(same)), slices.Sorted(maps.Keys(set)))
		}
		heads = append(heads, set["latest"])
		for _, older := range heads {
			if err := Connect(reader(set), s.key, [][]byte{older, set["latest"]}); err != nil {
				t.Errorf("bundle %d: %v", i, err)
			}
		}
	}
	last := "example.com/grown2@v1.0.699"
	alone, earlier := s.pack(t, dir, last, Options{Heads: heads[2:]})
	if len(earlier) > 0 {
		t.Errorf("with a given head: earlier heads %v", sizes(t, s, earlier))
	}
	since, earlier := s.pack(t, dir, last, Options{Heads: heads[2:], Since: [][]byte{heads[1], heads[1], heads[2]}})
	if !slices.EqualFunc(earlier, heads[1:2], bytes.Equal) || len(since) <= len(alone) {
		t.Errorf("since one: earlier heads %v, %d files, %d without", sizes(t, s, earlier), len(since), len(alone))
	}
}

// The earlier heads may be the only ones that are known.
func TestSinceIsNewer(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 30)
	dir := t.TempDir()
	old, _ := s.pack(t, dir, "example.com/m@v1.0.3", Options{})
	s.grow(t, "example.com/n", 30)
	new := s.head(t)
	set, earlier := s.pack(t, dir, "example.com/m@v1.0.3", Options{Since: [][]byte{new}})
	if !bytes.Equal(set["latest"], new) || !slices.EqualFunc(earlier, [][]byte{old["latest"]}, bytes.Equal) {
		t.Errorf("head %v, earlier %v", sizes(t, s, [][]byte{set["latest"]}), sizes(t, s, earlier))
	}
	_, err := New(Options{GOSUMDB: s.key, Heads: [][]byte{old["latest"]}, Since: [][]byte{new}})
	if err == nil || !strings.Contains(err.Error(), "tree head 30 of "+dbName+" is older than 60") {
		t.Errorf("New with a head older than those that are known: %v", err)
	}
}

// No more than the newest heads are earlier ones.
func TestEarlierHeadsAreBounded(t *testing.T) {
	s := newTestDB(t)
	dir := t.TempDir()
	for i := range MaxEarlier + 5 {
		s.grow(t, fmt.Sprintf("example.com/m%d", i), 1)
		RememberPacked(dir, dbName, s.head(t))
	}
	s.grow(t, "example.com/n", 1)
	_, earlier := s.pack(t, dir, "example.com/n@v1.0.0", Options{})
	if got := sizes(t, s, earlier); len(got) != MaxEarlier || got[0] != 6 {
		t.Errorf("earlier heads %v", got)
	}
}

// What is damaged of the remembered heads is forgotten, and the rest is not.
func TestDamagedPacked(t *testing.T) {
	s := newTestDB(t)
	dir := t.TempDir()
	name := filepath.Join(dir, filepath.FromSlash(dbName), packedFile)
	for i := range 3 {
		s.grow(t, fmt.Sprintf("example.com/m%d", i), 10)
		RememberPacked(dir, dbName, s.head(t))
		if i == 1 {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(name, int64(len(data)-40)); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.grow(t, "example.com/n", 10)
	if _, earlier := s.pack(t, dir, "example.com/n@v1.0.3", Options{}); !slices.Equal(sizes(t, s, earlier), []int64{10, 30}) {
		t.Errorf("earlier heads %v", sizes(t, s, earlier))
	}
}

// An earlier head of another tree is found out, wherever it is from.
func TestEarlierHeadOfAnotherTree(t *testing.T) {
	for _, n := range []int{5, 100} {
		s := newTestDB(t)
		s.grow(t, "example.com/fork", n)
		fork := s.head(t)
		s.db = sumdb.NewTestServer(s.signer, s.record)
		s.grow(t, "example.com/m", 100)
		dir := t.TempDir()
		RememberPacked(dir, dbName, fork)
		head := [][]byte{s.head(t)}
		for name, opts := range map[string]Options{
			"remembered": {CacheDir: dir},
			"given":      {Heads: [][]byte{fork, head[0]}},
			"since":      {Heads: head, Since: [][]byte{fork}},
		} {
			opts.GOSUMDB, opts.GOPROXY = s.key, s.URL
			db, err := New(opts)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = db.Lookup(t.Context(), "example.com/m", "v1.0.99")
			if err == nil {
				_, _, err = db.Files(t.Context())
			}
			if !errors.Is(err, ErrSecurity) {
				t.Errorf("%s, of size %d: %v", name, n, err)
			}
		}
	}
	if _, err := New(Options{GOSUMDB: newTestDB(t).key, Since: [][]byte{newTestDB(t).head(t)}}); !errors.Is(err, ErrSecurity) {
		t.Errorf("an earlier head signed with another key is taken: %v", err)
	}
}

func TestSplitHeads(t *testing.T) {
	const a, b = "go.sum database tree\n1\nx\n\n— db sig\n— witness sig\n", "go.sum database tree\n2\ny\n\n— db sig\n"
	for _, test := range []struct {
		name, data string
		want       []string
	}{
		{"nothing", "\n\n", nil},
		{"one", a, []string{a}},
		{"without the last line end", strings.TrimSpace(b), []string{b}},
		{"two", a + b, []string{a, b}},
		{"two with empty lines", "\n" + a + "\n\n" + b + "\n", []string{a, b}},
		{"one cut short", a[:25] + "\n" + b, []string{a[:25], b}},
		{"no head at all", "package main\n", []string{"package main\n"}},
	} {
		var got []string
		for _, h := range SplitHeads([]byte(test.data)) {
			got = append(got, string(h))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: SplitHeads = %q, want %q", test.name, got, test.want)
		}
	}
}

// Whatever a file has, no byte of it but space is lost, and no head is empty.
func FuzzSplitHeads(f *testing.F) {
	f.Add([]byte("go.sum database tree\n1\nx\n\n— db sig\n\ngo.sum database tree\n2"))
	f.Add([]byte("\n \n"))
	f.Add([]byte("go.sum database tree\ngo.sum database tree\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all []byte
		for _, h := range SplitHeads(data) {
			if len(bytes.TrimSpace(h)) == 0 || h[len(h)-1] != '\n' {
				t.Errorf("SplitHeads(%q) has %q", data, h)
			}
			all = append(all, h...)
		}
		if got, want := bytes.Join(bytes.Fields(all), nil), bytes.Join(bytes.Fields(data), nil); !bytes.Equal(got, want) {
			t.Errorf("SplitHeads(%q) leaves %q", data, got)
		}
	})
}
