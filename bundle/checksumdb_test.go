package bundle

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"
	xsumdb "golang.org/x/mod/sumdb"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/sumdb/note"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/sumdb"
	"github.com/goferry/goferry/oci"
)

const testSumDB = "sum.test"

// testDB is a checksum database on 127.0.0.1, which has the modules of a capture, and others of no matter.
type testDB struct {
	*xsumdb.TestServer
	signer, key string
	url         string // of a proxy that answers for it
}

func newTestDB(t *testing.T, c *gomod.Captured) *testDB {
	t.Helper()
	db := new(testDB)
	var err error
	if db.signer, db.key, err = note.GenerateKey(rand.Reader, testSumDB); err != nil {
		t.Fatal(err)
	}
	records := make(map[string][]byte)
	mods := c.Modules
	for _, tc := range c.Toolchains {
		mods = append(mods, tc.Module)
	}
	mods = append(mods, c.GraphOnly...)
	for _, m := range mods {
		records[m.Path+"@"+m.Version] = dbRecord(t, m)
	}
	db.TestServer = xsumdb.NewTestServer(db.signer, func(path, version string) ([]byte, error) {
		if strings.HasPrefix(path, "grown.example/") {
			return []byte("of no matter\n"), nil
		}
		if record, ok := records[path+"@"+version]; ok {
			return record, nil
		}
		return nil, os.ErrNotExist
	})
	for _, m := range mods {
		if _, err := db.Lookup(t.Context(), module.Version{Path: m.Path, Version: m.Version}); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/sumdb/"+testSumDB+"/", http.StripPrefix("/sumdb/"+testSumDB, xsumdb.NewServer(db)))
	mux.HandleFunc("/sumdb/"+testSumDB+"/supported", func(http.ResponseWriter, *http.Request) {})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	db.url = server.URL
	return db
}

// dbRecord is what a checksum database says of a module.
func dbRecord(t *testing.T, m gomod.Module) []byte {
	t.Helper()
	sum, modSum := "h1:none", "h1:none"
	var err error
	if m.Zip != "" {
		if sum, err = dirhash.HashZip(m.Zip, dirhash.DefaultHash); err != nil {
			t.Fatal(err)
		}
	}
	if m.Mod != nil {
		if modSum, err = goModSum(m.Mod); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Appendf(nil, "%s %s %s\n%[1]s %[2]s/go.mod %[4]s\n", m.Path, m.Version, sum, modSum)
}

// grow lets the database record n modules, and returns its tree head then.
func (db *testDB) grow(t *testing.T, path string, n int) []byte {
	t.Helper()
	for i := range n {
		if _, err := db.Lookup(t.Context(), module.Version{Path: "grown.example/" + path, Version: fmt.Sprintf("v1.0.%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	head, err := db.Signed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// packSumDB packs a capture that db covers, with these tree heads.
func packSumDB(t *testing.T, c *gomod.Captured, db *testDB, dir string, heads ...[]byte) (oci.Store, ocispec.Descriptor) {
	t.Helper()
	c.Env = gomod.GoEnv{GOSUMDB: db.key, GOPROXY: db.url}
	s := layout(t, dir)
	p := newPacker(s, c, toolchainPlatforms(c), "")
	p.opts.TreeHeads = heads
	if err := p.begin(); err != nil {
		t.Fatal(err)
	}
	packed, err := p.write(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s, packed.Descriptor
}

// What a forger changes of the checksum database's part is found, and named.
func TestCheckFindsForgedSumDB(t *testing.T) {
	const dir = downloadDir + "sumdb/" + testSumDB + "/"
	const lookup = dir + "lookup/example.com/!upper/sub@v1.2.0"
	type graph = map[string][]byte
	for _, test := range []struct {
		name string
		edit func(t *testing.T, files graph, r *Record, db *testDB)
		want string
	}{
		{"nothing", func(*testing.T, graph, *Record, *testDB) {}, ""},
		{"a tile that does not fit its tree", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			files[dir+"tile/8/0/000"] = bytes.Repeat([]byte{1}, 256*32)
		}, "downloaded inconsistent tile"},
		{"a tile cut short", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			files[dir+"tile/8/0/000"] = files[dir+"tile/8/0/000"][:32]
		}, "tile"},
		{"a missing tile", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			delete(files, dir+"tile/8/0/000")
		}, "tile/8/0/000 is missing"},
		{"a missing tile of an earlier head", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			delete(files, dir+"tile/8/0/001")
		}, "from tree head 300 to 1005: tile/8/0/001 is missing"},
		{"a tile that nothing needs", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			files[dir+"tile/8/0/002"] = make([]byte, 256*32)
		}, "tile/8/0/002 proves nothing"},
		{"a lookup that nothing needs", func(t *testing.T, files graph, r *Record, _ *testDB) {
			r.NoSumDB = "example.com/Upper"
			for i := range r.Modules {
				r.Modules[i].NoSumDB = strings.HasPrefix(r.Modules[i].Path, "example.com/Upper")
			}
		}, "is not what the bundle's record says"},
		{"a lookup of another module", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			files[lookup] = files[dir+"lookup/example.com/tool@v0.0.0-20260102030405-0123456789ab"]
		}, "example.com/Upper/sub@v1.2.0"},
		{"a lookup with another sum", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			files[lookup] = bytes.Replace(files[lookup], []byte("h1:"), []byte("h1:x"), 1)
		}, "cannot authenticate record data"},
		{"a missing lookup", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			delete(files, lookup)
		}, "lookup/example.com/!upper/sub@v1.2.0 is missing"},
		{"a lookup under another head", func(_ *testing.T, files graph, r *Record, _ *testDB) {
			files[lookup] = bytes.Replace(files[lookup], files[dir+"latest"], []byte(r.TreeHeads[0]), 1)
		}, "not under the bundle's tree head"},
		{"a head with a bad signature", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			forged := bytes.Replace(files[dir+"latest"], []byte("\n1005\n"), []byte("\n1006\n"), 1)
			for name, data := range files {
				files[name] = bytes.Replace(data, files[dir+"latest"], forged, 1)
			}
		}, "invalid signature"},
		{"no head", func(t *testing.T, files graph, _ *Record, _ *testDB) { delete(files, dir+"latest") }, "latest is missing"},
		{"no word that the database is there", func(t *testing.T, files graph, _ *Record, _ *testDB) {
			delete(files, dir+"supported")
		}, "supported"},
		{"an earlier head with a bad signature", func(t *testing.T, _ graph, r *Record, _ *testDB) {
			r.TreeHeads[0] = strings.Replace(r.TreeHeads[0], "\n300\n", "\n301\n", 1)
		}, "invalid signature"},
		{"an earlier head of another tree", func(t *testing.T, _ graph, r *Record, db *testDB) {
			fork := &testDB{TestServer: xsumdb.NewTestServer(db.signer, func(string, string) ([]byte, error) { return []byte("fork\n"), nil })}
			r.TreeHeads[0] = string(fork.grow(t, "fork", 300))
		}, "from tree head 300 to 1005: checksum database answer is not authentic"},
		{"an earlier head whose tiles are not there", func(t *testing.T, _ graph, r *Record, db *testDB) {
			r.TreeHeads = append(r.TreeHeads, string(db.grow(t, "more", 1)))
		}, "not sorted"},
		{"an earlier head twice", func(t *testing.T, _ graph, r *Record, _ *testDB) {
			r.TreeHeads = append(r.TreeHeads, r.TreeHeads[0])
		}, "not sorted"},
		{"an earlier head less", func(t *testing.T, _ graph, r *Record, _ *testDB) { r.TreeHeads = nil }, "proves nothing"},
		{"too many earlier heads", func(t *testing.T, _ graph, r *Record, _ *testDB) {
			r.TreeHeads = strings.Split(strings.Repeat(r.TreeHeads[0]+"|", 64), "|")
		}, "65 earlier tree heads"},
		{"a database of the forger's that is called as a known one", func(t *testing.T, _ graph, r *Record, _ *testDB) {
			_, key, err := note.GenerateKey(rand.Reader, "sum.golang.org")
			if err != nil {
				t.Fatal(err)
			}
			r.SumDB = key
		}, "not the key of sum.golang.org"},
		{"a database that is none", func(t *testing.T, _ graph, r *Record, _ *testDB) { r.SumDB = "off" }, `"off" is no checksum database`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := captured(t)
			c.Toolchains = c.Toolchains[:1]
			db := newTestDB(t, c)
			first := db.grow(t, "before", 300-4)
			second := db.grow(t, "between", 705)
			f := &forgery{dir: t.TempDir()}
			var desc ocispec.Descriptor
			f.store, desc = packSumDB(t, c, db, f.dir, first, second)
			f.open(t, desc)
			f.editGraph(t, func(files map[string][]byte) {
				r, err := parseRecord(files[recordName])
				if err != nil {
					t.Fatal(err)
				}
				test.edit(t, files, r, db)
				if files[recordName], err = r.encode(); err != nil {
					t.Fatal(err)
				}
			})
			f.write(t)
			err := verifyAll(t.Context(), f.dir)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("verify: %v, want ErrMismatch with %q", err, test.want)
			}
		})
	}
}

// No setting takes a toolchain out of the database, so no bundle does.
func TestCheckFindsToolchainTakenOut(t *testing.T) {
	c := captured(t)
	c.Toolchains = c.Toolchains[:1]
	f := &forgery{dir: t.TempDir()}
	var desc ocispec.Descriptor
	f.store, desc = packSumDB(t, c, newTestDB(t, c), f.dir)
	f.open(t, desc)
	f.manifest.Layers[0].Annotations[AnnotationSumDB] = "none"
	f.editRecord(t, func(r *Record) { r.Toolchains[0].NoSumDB = true })
	f.editGraph(t, func(files map[string][]byte) {
		delete(files, downloadDir+"sumdb/"+testSumDB+"/lookup/golang.org/toolchain@"+c.Toolchains[0].Module.Version)
	})
	f.refused(t, "is taken out of it")
}

// The isolated side gets the name of a known database, else name and key, and never a URL.
func TestRecordSumDB(t *testing.T) {
	const key = "sum.test+db969cb9+Aaq3GAbKzLKcSH9FZmh2qLRoBknEfXfLj1JU7teos+LI"
	for _, test := range []struct{ gosumdb, want string }{
		{"sum.golang.org", "sum.golang.org"},
		{"sum.golang.org https://proxy.example/sumdb/sum.golang.org", "sum.golang.org"},
		{"sum.golang.google.cn", "sum.golang.org"},
		{key, key},
		{"  " + key + "\thttps://sum.example", key},
		{"off", ""},
	} {
		db, err := sumdb.New(sumdb.Options{GOSUMDB: test.gosumdb})
		if err != nil {
			t.Fatal(err)
		}
		if got := recordSumDB(db, test.gosumdb); got != test.want {
			t.Errorf("recordSumDB(%q) = %q, want %q", test.gosumdb, got, test.want)
		}
	}
}
