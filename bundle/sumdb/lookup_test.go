package sumdb

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb"
)

// A database that signs another history than it did before is found out.
func TestFork(t *testing.T) {
	s := newTestDB(t)
	dir := t.TempDir()
	lookUp(t, s.open(t, dir, nil), "example.com/a@v1.0.0")
	s.db = sumdb.NewTestServer(s.signer, s.record)
	s.grow(t, "example.com/fork", 10)
	_, _, err := s.open(t, dir, s.head(t)).Lookup(t.Context(), "example.com/fork", "v1.0.3")
	if !errors.Is(err, ErrSecurity) || !strings.Contains(err.Error(), "misbehavior") {
		t.Errorf("Lookup: %v", err)
	}
	if _, err := New(Options{GOSUMDB: newTestDB(t).key, Heads: [][]byte{s.head(t)}}); !errors.Is(err, ErrSecurity) {
		t.Errorf("a head signed with another key is taken: %v", err)
	}
}

func TestLookupErrors(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/before", 20)
	flip := func(prefix string) func(string, []byte) []byte {
		return func(name string, data []byte) []byte {
			if strings.HasPrefix(name, prefix) {
				data = bytes.Clone(data)
				data[len(data)/4] ^= 1
			}
			return data
		}
	}
	for _, test := range []struct {
		name   string
		answer func(string, []byte) []byte
		module string
		want   error
	}{
		{"not recorded", nil, "missing.example/x@v1.0.0", ErrNotRecorded},
		{"tile changed", flip("tile/"), "example.com/a@v1.0.0", ErrSecurity},
		{"record changed", flip("lookup/"), "example.com/b@v1.0.0", ErrSecurity},
		{"nonsense", func(string, []byte) []byte { return []byte("<html>") }, "example.com/c@v1.0.0", ErrSecurity},
		{"record of another module", func(name string, data []byte) []byte {
			return bytes.ReplaceAll(data, []byte("example.com/d"), []byte("example.com/D"))
		}, "example.com/d@v1.0.0", ErrSecurity},
	} {
		t.Run(test.name, func(t *testing.T) {
			s.set(test.answer)
			defer s.set(nil)
			dir := t.TempDir()
			path, version, _ := strings.Cut(test.module, "@")
			_, _, err := s.open(t, dir, nil).Lookup(t.Context(), path, version)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.module) {
				t.Errorf("Lookup: %v, want %v", err, test.want)
			}
			if kept, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(dbName), "lookup", "*", "*")); len(kept) > 0 {
				t.Errorf("kept %v", kept)
			}
		})
	}
	t.Run("module path malformed", func(t *testing.T) {
		if _, _, err := s.open(t, "", nil).Lookup(t.Context(), "../x", "v1"); err == nil {
			t.Error("no error")
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan bool)
		s.set(func(_ string, data []byte) []byte { cancel(); <-release; return data })
		defer s.set(nil)
		defer close(release)
		if _, _, err := s.open(t, "", nil).Lookup(ctx, "example.com/e", "v1.0.0"); !errors.Is(err, context.Canceled) {
			t.Errorf("Lookup: %v", err)
		}
	})
	t.Run("no answer", func(t *testing.T) {
		dead := httptest.NewServer(http.NotFoundHandler())
		dead.Close()
		db, err := New(Options{GOSUMDB: s.key, GOPROXY: dead.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.Lookup(t.Context(), "example.com/f", "v1.0.0"); !errors.Is(err, ErrNetwork) {
			t.Errorf("Lookup: %v", err)
		}
	})
}
