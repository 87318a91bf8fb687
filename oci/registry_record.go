package oci

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// uploadRecord is a file that keeps in mind where an upload goes on, so that the next process can go on with it. What a
// registry gives as a location may be all that it takes to write there, so nobody else may read it. It is locked as long
// as the upload is in use, and waits as long as the part of a blob does; registries forget uploads, too.
//
// That it cannot be written is no error: then the next process begins anew. So it does where the file is not what it
// should be.
type uploadRecord struct {
	file   *os.File // nil keeps nothing
	origin string   // of the registry
	kept   bool
}

// maxRecord is more than a location needs that net/http takes.
const maxRecord = 64 << 10

type uploadState struct {
	Location string `json:"location"`
}

func (r *repository) openRecord(desc ocispec.Descriptor) *uploadRecord {
	if r.uploadDir == "" || os.MkdirAll(r.uploadDir, 0o700) != nil {
		return &uploadRecord{}
	}
	forgetRecords(r.uploadDir)
	at, err := url.Parse(r.url("blobs/" + string(desc.Digest)))
	if err != nil {
		return &uploadRecord{}
	}
	name := sha256.Sum256([]byte(at.String()))
	f, err := os.OpenFile(filepath.Join(r.uploadDir, hex.EncodeToString(name[:])), os.O_RDWR|os.O_CREATE|openFlags, 0o600)
	if err != nil {
		return &uploadRecord{}
	}
	if tryLock(f) == errLocked {
		f.Close()
		return &uploadRecord{}
	}
	return &uploadRecord{file: f, origin: originOf(at)}
}

// forgetRecords removes what nobody has come back for.
func forgetRecords(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() && len(e.Name()) == 2*sha256.Size && time.Since(info.ModTime()) > partAge {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// location is what was kept, or nil. It is at the registry itself, as credentials go there.
func (u *uploadRecord) location() *url.URL {
	if u.file == nil {
		return nil
	}
	data := make([]byte, maxRecord)
	n, _ := u.file.ReadAt(data, 0)
	var state uploadState
	if DecodeStrict(data[:n], &state) != nil {
		return nil
	}
	at, err := url.Parse(state.Location)
	if err != nil || originOf(at) != u.origin {
		return nil
	}
	u.kept = true
	return at
}

func (u *uploadRecord) keep(at *url.URL) {
	data, err := json.Marshal(uploadState{at.String()})
	if u.file == nil || err != nil {
		return
	}
	if _, err = u.file.WriteAt(data, 0); err == nil {
		err = u.file.Truncate(int64(len(data)))
	}
	u.kept = err == nil
}

func (u *uploadRecord) forget() { u.kept = false }

func (u *uploadRecord) close() {
	if u.file == nil {
		return
	}
	u.file.Close()
	if !u.kept {
		os.Remove(u.file.Name())
	}
}
