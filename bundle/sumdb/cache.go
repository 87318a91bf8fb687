package sumdb

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A cache reads lookups and tiles from directories, and writes to the first.
// Nothing in it is believed: the client authenticates a tile from a cache like
// one from the network.
type cache struct {
	dir  string
	more []string
}

// read returns the file name ("<database>/tile/…"). A partial tile is cut from
// the full one where a directory has only that.
func (c cache) read(name string) ([]byte, error) {
	for _, dir := range append([]string{c.dir}, c.more...) {
		if dir == "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		full, w := fullTile(name)
		if err == nil && len(data) > 0 && (w == 0 || len(data) == w*tlog.HashSize) {
			return data, nil
		}
		if full == "" {
			continue
		}
		data, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(full)))
		if err == nil && len(data) == tlog.HashSize<<tileHeight {
			return data[:w*tlog.HashSize], nil
		}
	}
	return nil, fs.ErrNotExist
}

// tileHeight is the height of the tiles that the go command asks for.
const tileHeight = 8

// fullTile returns the name of the full tile that the partial tile name begins
// with, and how many hashes it has of it; "" if name is no partial tile.
func fullTile(name string) (string, int) {
	database, path, found := strings.Cut(name, "/tile/")
	if !found {
		return "", 0
	}
	t, err := tlog.ParseTilePath("tile/" + path)
	if err != nil || t.H != tileHeight || t.W == 1<<tileHeight {
		return "", 0
	}
	w := t.W
	t.W = 1 << tileHeight
	return database + "/" + t.Path(), w
}

// readOwn reads from the directory that is written to.
func (c cache) readOwn(name string) ([]byte, error) {
	if c.dir == "" {
		return nil, fs.ErrNotExist
	}
	return os.ReadFile(filepath.Join(c.dir, filepath.FromSlash(name)))
}

// write keeps a file. That it cannot be kept costs the next run a request, so
// it is no error.
func (c cache) write(name string, data []byte) {
	if c.dir == "" {
		return
	}
	name = filepath.Join(c.dir, filepath.FromSlash(name))
	if os.MkdirAll(filepath.Dir(name), 0o755) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp-")
	if err != nil {
		return
	}
	_, err = f.Write(data)
	if closeErr := f.Close(); err != nil || closeErr != nil || os.Rename(f.Name(), name) != nil {
		os.Remove(f.Name())
	}
}
