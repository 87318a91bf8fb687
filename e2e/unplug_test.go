package e2e

import (
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestUnplug takes the stick away while a command reads from it or writes to it, and holds that it says so within seconds.
// A registry at the other end tells when the command is in the middle.
func TestUnplug(t *testing.T) {
	f := packModules(t)
	for _, s := range sticks {
		t.Run(s.name+" read", func(t *testing.T) {
			dir := s.insert(t, 64<<20)
			source := "oci:" + dir + "/layout:v1"
			goferry(t, "copy", f.ref, source)
			remote := startHandler(t, security{}, pulling(t, dir, newRegistry(t), uploadsBlob))
			unplugged(t, dir, append([]string{"copy", "--jobs", "1", source, remote.host + "/app:v1"}, remote.flags()...)...)
		})
		t.Run(s.name+" write", func(t *testing.T) {
			dir := s.insert(t, 64<<20)
			registry := newRegistry(t)
			first := startHandler(t, security{}, registry)
			goferry(t, append([]string{"copy", f.ref, first.host + "/app:v1"}, first.flags()...)...)
			remote := startHandler(t, security{}, pulling(t, dir, registry, getsBlob))
			unplugged(t, dir, append([]string{"copy", remote.host + "/app:v1", "oci:" + dir + "/layout:v1"}, remote.flags()...)...)
		})
	}
}

// pulling is a registry that takes the stick away when it is asked for the first blob.
func pulling(t *testing.T, dir string, next http.Handler, asks func(*http.Request) bool) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asks(r) {
			once.Do(func() { pull(t, dir) })
		}
		next.ServeHTTP(w, r)
	})
}

func unplugged(t *testing.T, dir string, args ...string) {
	t.Helper()
	start := time.Now()
	refused(t, 1, args...).says(t, "the medium of oci:"+filepath.Join(dir, "layout"), "is gone", "plug it in again")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("goferry %q took %v to say that the stick is gone", args, took)
	}
}

// What was pulled out before a command begins is named the same way.
func TestUnplugged(t *testing.T) {
	f := packModules(t)
	dir := fat32.insert(t, 64<<20)
	source := "oci:" + dir + "/layout:v1"
	goferry(t, "copy", f.ref, source)
	use(t, filepath.Join(dir, "layout"))
	pull(t, dir)
	for _, args := range [][]string{
		{"verify", source}, {"inspect", source}, {"copy", source, layoutRef(t)}, {"copy", f.ref, source}, {"copy", f.ref, "oci-archive:" + dir + "/app.tar"},
		{"unpack", anybody, source, filepath.Join(tempDir(t), "site")}, {"unpack", anybody, f.ref, filepath.Join(dir, "site")},
		{"repair", "--from", f.ref, source}, {"serve", anybody, source},
	} {
		refused(t, 1, args...).says(t, "is gone", dir)
	}
}
