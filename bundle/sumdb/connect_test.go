package sumdb

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb"
)

// online reads the files of a database that is asked anew each time.
func (s *testDB) online(name string) ([]byte, error) {
	resp, err := http.Get(s.URL + "/sumdb/" + dbName + "/" + name)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", name, resp.Status)
	}
	return io.ReadAll(resp.Body)
}

func TestConnect(t *testing.T) {
	s := newTestDB(t)
	var heads [][]byte
	union := map[string][]byte{}
	for i, n := range []int{3, 300, 700} {
		s.grow(t, fmt.Sprintf("example.com/grown%d", i), n)
		heads = append(heads, s.head(t))
		db := s.open(t, "", s.head(t))
		lookUp(t, db, fmt.Sprintf("example.com/grown%d@v1.0.%d", i, n-1)) // in the last tile
		maps.Copy(union, files(t, db))
	}
	backwards := [][]byte{heads[2], heads[1], heads[0]}
	if err := Connect(s.online, s.key, backwards); err != nil {
		t.Errorf("with all tiles of the database: %v", err)
	}
	for _, same := range [][][]byte{nil, heads[:1], {heads[1], heads[1]}} {
		if err := Connect(reader(nil), s.key, same); err != nil {
			t.Errorf("%d heads of one tree: %v", len(same), err)
		}
	}
	err := Connect(reader(union), s.key, heads)
	apart, ok := errors.AsType[*ConnectError](err)
	if !ok || apart.Older != 3 || apart.Newer != 303 || !errors.Is(err, errMissing) || errors.Is(err, ErrSecurity) {
		t.Errorf("with the tiles of each alone: %v", err)
	}
	changed := func(name string) ([]byte, error) {
		data, err := s.online(name)
		if strings.HasPrefix(name, "tile/8/0/") && err == nil {
			data[0] ^= 1
		}
		return data, err
	}
	if err := Connect(changed, s.key, heads); !errors.Is(err, ErrSecurity) {
		t.Errorf("with changed tiles: %v", err)
	}
}

func TestConnectRefusesFork(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 10)
	small := s.head(t)
	s.grow(t, "example.com/m2", 290)
	large := s.head(t)
	s.db = sumdb.NewTestServer(s.signer, s.record)
	s.grow(t, "example.com/fork", 10)
	fork := s.head(t)
	s.grow(t, "example.com/fork2", 290)
	for name, heads := range map[string][][]byte{
		"of one size":          {small, fork},
		"of two sizes":         {small, s.head(t)},
		"with the other tiles": {fork, large},
	} {
		err := Connect(s.online, s.key, heads)
		if _, ok := errors.AsType[*ConnectError](err); !ok || !errors.Is(err, ErrSecurity) {
			t.Errorf("trees %s: %v", name, err)
		}
	}
	if err := Connect(s.online, newTestDB(t).key, [][]byte{small}); !errors.Is(err, ErrSecurity) {
		t.Errorf("a head signed with another key is taken: %v", err)
	}
}

func TestHeadSize(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 10)
	if n, err := HeadSize(s.head(t), s.key); n != 10 || err != nil {
		t.Errorf("HeadSize = %d, %v", n, err)
	}
	for name, msg := range map[string][]byte{"nothing": nil, "a changed size": []byte(strings.Replace(string(s.head(t)), "10", "11", 1))} {
		if n, err := HeadSize(msg, s.key); !errors.Is(err, ErrSecurity) {
			t.Errorf("HeadSize of %s = %d, %v", name, n, err)
		}
	}
}
