package sumdb

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// The database is found by the go command's rules.
func TestFindDatabase(t *testing.T) {
	s := newTestDB(t)
	status := func(code int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(server.Close)
		return server.URL
	}
	missing, gone, broken, forbidden := status(404), status(410), status(500), status(403)
	for _, test := range []struct {
		goproxy string
		want    string // a URL, or a word of the error
	}{
		{s.URL, s.URL + "/sumdb/" + dbName},
		{missing + "," + gone + "," + s.URL, s.URL + "/sumdb/" + dbName},
		{broken + "|" + s.URL, s.URL + "/sumdb/" + dbName},
		{broken + "," + s.URL, "500"},
		{forbidden + "," + s.URL, "403"},
		{broken + "|" + missing, "500"},
		{broken + "|direct", "https://" + dbName},
		{broken + "|off", "500"},
		{missing, "https://" + dbName},
		{"off", "https://" + dbName},
		{"direct," + s.URL, "https://" + dbName},
		{"", "https://" + dbName},
	} {
		r, err := newRemote(dbName, "", Options{GOPROXY: test.goproxy})
		if err != nil {
			t.Fatal(err)
		}
		r.findBase()
		got := r.base.String()
		if r.baseErr != nil {
			got = r.baseErr.Error()
			if !errors.Is(r.baseErr, ErrNetwork) {
				t.Errorf("GOPROXY=%s: %v is not ErrNetwork", test.goproxy, r.baseErr)
			}
		}
		if got != test.want && (r.baseErr == nil || !strings.Contains(got, test.want)) {
			t.Errorf("GOPROXY=%s: %s, want %s", test.goproxy, got, test.want)
		}
	}
}

// What Files gives is a proxy for the database once it lies below one.
func TestFileProxy(t *testing.T) {
	s := newTestDB(t)
	s.grow(t, "example.com/m", 50)
	db := s.open(t, "", nil)
	lookUp(t, db, some...)
	dir := t.TempDir()
	writeTree(t, filepath.Join(dir, "proxy with space", "sumdb", filepath.FromSlash(dbName)), files(t, db))
	for _, opts := range []Options{
		{GOSUMDB: s.key, GOPROXY: "file://" + filepath.ToSlash(dir) + "/proxy%20with%20space"},
		{GOSUMDB: s.key + " file://" + filepath.ToSlash(dir) + "/proxy%20with%20space/sumdb/" + dbName, GOPROXY: "off"},
	} {
		db, err := New(opts)
		if err != nil {
			t.Fatal(err)
		}
		lookUp(t, db, some...)
	}
}

func TestCredentials(t *testing.T) {
	s := newTestDB(t)
	s.auth = "me:secret"
	netrc := filepath.Join(t.TempDir(), "netrc")
	if err := os.WriteFile(netrc, []byte("machine 127.0.0.1 login me password secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inURL := strings.Replace(s.URL, "//", "//me:secret@", 1)
	for _, test := range []struct {
		opts Options
		want error
	}{
		{Options{GOPROXY: inURL}, nil},
		{Options{GOPROXY: s.URL}, ErrAuth},
		{Options{GOPROXY: s.URL, Netrc: netrc}, ErrAuth}, // not over plain HTTP
		{Options{GOPROXY: strings.Replace(inURL, "secret", "wrong", 1)}, ErrAuth},
	} {
		test.opts.GOSUMDB = s.key
		db, err := New(test.opts)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = db.Lookup(t.Context(), "example.com/a", "v1.0.0")
		if !errors.Is(err, test.want) || err != nil && (!errors.Is(err, ErrNetwork) || strings.Contains(err.Error(), "wrong")) {
			t.Errorf("Lookup through %s: %v, want %v", test.opts.GOPROXY, err, test.want)
		}
	}
}

func TestParseGOSUMDB(t *testing.T) {
	s := newTestDB(t)
	known := knownKeys["sum.golang.org"]
	for _, test := range []struct{ in, name, key, url string }{
		{"sum.golang.org", "sum.golang.org", known, ""},
		{"sum.golang.google.cn", "sum.golang.org", known, "https://sum.golang.google.cn"},
		{s.key, dbName, s.key, ""},
		{s.key + "  http://127.0.0.1:1/x", dbName, s.key, "http://127.0.0.1:1/x"},
	} {
		name, key, url, err := parseGOSUMDB(test.in)
		if err != nil || name != test.name || key != test.key || url != test.url {
			t.Errorf("parseGOSUMDB(%q) = %q, %q, %q, %v", test.in, name, key, url, err)
		}
	}
	_, rest, _ := strings.Cut(s.key, "+")
	_, impostor, err := note.GenerateKey(nil, "sum.golang.org")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "sum.example.com", "a b c", "x+1+y", "../../x+" + rest, "/+" + rest, impostor} {
		if name, _, _, err := parseGOSUMDB(bad); err == nil {
			t.Errorf("parseGOSUMDB(%q) = %q", bad, name)
		}
	}
	if name, key, err := VerifierKey("off"); name != "" || key != "" || err != nil {
		t.Errorf("VerifierKey(off) = %q, %q, %v", name, key, err)
	}
}

func TestParseNetrc(t *testing.T) {
	text := "machine a login u password p\nmacdef init\nmachine no login no password no\n\nmachine b\n\tlogin v\n\tpassword q\nmachine half login w\ndefault login x password y\n"
	want := []netrcLine{{"a", "u", "p"}, {"b", "v", "q"}}
	if got := parseNetrc(text); !slices.Equal(got, want) {
		t.Errorf("parseNetrc = %v, want %v", got, want)
	}
}

func FuzzParseNetrc(f *testing.F) {
	for _, s := range []string{"", "machine", "machine a login", "macdef x", "default", "machine a login b password c machine d", "\x00 \xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, l := range parseNetrc(s) {
			if l.machine == "" || l.login == "" || l.password == "" {
				t.Errorf("parseNetrc(%q) has %q", s, l)
			}
		}
	})
}

func FuzzParseGOSUMDB(f *testing.F) {
	key := knownKeys["sum.golang.org"]
	_, rest, _ := strings.Cut(key, "+")
	for _, s := range []string{key, "off", "..+" + rest, "a/../b+" + rest, "a\\b+" + rest, key + " file:///x", "%2e%2e/x+" + rest} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, _, _, err := parseGOSUMDB(s)
		if err == nil && (!filepath.IsLocal(name) || strings.Contains(name, "\\")) {
			t.Errorf("parseGOSUMDB(%q) = %q", s, name)
		}
	})
}

// FuzzCheck holds that nothing in the files makes Check accept a sum which the
// database did not sign.
func FuzzCheck(f *testing.F) {
	s := newTestDB(f)
	s.grow(f, "example.com/m", 5)
	db := s.open(f, "", nil)
	lookUp(f, db, some[0])
	all := files(f, db)
	name, err := lookupFile("example.com/a", "v1.0.0")
	if err != nil {
		f.Fatal(err)
	}
	good := all[name]
	for _, seed := range []string{"", "0\n\n", string(good[:len(good)-1]), strings.Replace(string(good), "5\n", "-1\n", 1), fmt.Sprintf("%d\n%s", 1<<62, good)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		changed := map[string][]byte{}
		for n, d := range all {
			changed[n] = d
		}
		changed[name] = data
		forged := Expect{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:forged="}
		if Check(reader(changed), s.key, []Expect{forged}) == nil {
			t.Errorf("Check accepts %q", data)
		}
	})
}
