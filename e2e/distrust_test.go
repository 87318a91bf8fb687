package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// blobKinds are a digest of each kind of blob of a signed bundle.
func blobKinds(t *testing.T, dir, bundle string) map[string]string {
	t.Helper()
	index := readJSON[ocispec.Index](t, dir, bundle)
	manifest := index.Manifests[0].Digest.String()
	m := readJSON[ocispec.Manifest](t, dir, manifest)
	module, _ := moduleLayer(t, dir, manifest)
	kinds := map[string]string{
		"index": bundle, "manifest": manifest, "config": m.Config.Digest.String(),
		"module": module, "graph": m.Layers[len(m.Layers)-1].Digest.String(),
	}
	tag := strings.Replace(bundle, ":", "-", 1) + ".sig"
	for _, e := range decode[ocispec.Index](t, filepath.Join(dir, "index.json")).Manifests {
		if e.Annotations[ocispec.AnnotationRefName] == tag {
			kinds["signature manifest"] = e.Digest.String()
			kinds["signature"] = readJSON[ocispec.Manifest](t, dir, e.Digest.String()).Layers[0].Digest.String()
		}
	}
	return kinds
}

// A distruster is a command with the kinds of blobs that it reads, and that it has to refuse when they are wrong.
type distruster struct {
	args  []string // REF, NEW and KEY are replaced
	reads []string // nil: all
}

var distrusters = []distruster{
	{args: []string{"verify", "--key", "KEY", "REF"}},
	{args: []string{"copy", "REF", "oci:NEW:v1"}},
	{args: []string{"copy", "REF", "oci-archive:NEW:v1"}},
	{args: []string{"copy", "REF", "REGISTRY"}},
	{args: []string{"copy", "--verify", "--key", "KEY", "REF", "oci:NEW:v1"}},
	{args: []string{"unpack", "--key", "KEY", "REF", "NEW"}},
	{args: []string{"serve", "--listen", "127.0.0.1:0", "--key", "KEY", "REF"}, reads: []string{"index", "manifest", "config", "graph", "signature", "signature manifest"}},
	{args: []string{"sbom", "REF"}, reads: []string{"index", "manifest", "config", "graph"}},
	{args: []string{"inspect", "REF"}, reads: []string{"index", "manifest"}},
}

// TestDistrust holds that no command takes a blob for what its name says: each kind of blob is damaged in each kind of
// place, and whatever reads it says so and leaves nothing that looks like a success.
func TestDistrust(t *testing.T) {
	f := packModules(t)
	dir, ref := f.clone(t)
	keys := tempDir(t)
	c := command{dir: keys, env: []string{"COSIGN_PASSWORD="}}
	c.must(t, binary, "keygen", "--out", "a")
	c.must(t, binary, "sign", "--key", "a.key", "--signature-format", "sig", ref)
	signed := &fixture{dir: dir, ref: ref, digest: f.digest}
	key := filepath.Join(keys, "a.pub")
	for kind, digest := range blobKinds(t, dir, f.digest) {
		for place, damaged := range map[string]string{
			"flipped in a layout":   signed.damaged(t, digest, flip),
			"cut in a layout":       signed.damaged(t, digest, cut),
			"flipped in an archive": archived(t, signed.damaged(t, digest, flip)),
			"flipped in a registry": forging(t, signed.ref, digest),
		} {
			t.Run(kind+" "+place, func(t *testing.T) {
				for _, d := range distrusters {
					if d.reads == nil || slices.Contains(d.reads, kind) {
						d.refuses(t, damaged, key)
					}
				}
			})
		}
	}
}

func (d distruster) refuses(t *testing.T, ref, key string) {
	t.Helper()
	target := filepath.Join(tempDir(t), "new")
	var args []string
	for _, arg := range d.args {
		switch arg {
		case "REF":
			arg = ref
		case "KEY":
			arg = key
		case "REGISTRY":
			arg = startInProcess(t, security{}).host + "/app:v1"
		}
		args = append(args, strings.Replace(arg, "NEW", target, 1))
	}
	refused(t, 3, append(args, "--plain-http")...)
	if _, err := os.Lstat(filepath.Join(target, "current")); err == nil {
		t.Errorf("%q left a generation", args)
	}
	if _, err := os.Lstat(filepath.Join(target, "index.json")); err == nil {
		refused(t, 1, "inspect", "oci:"+target) // what came before may be kept for the next attempt, without a tag
	}
	if info, err := os.Lstat(target); err == nil && info.Mode().IsRegular() {
		t.Errorf("%q left an archive", args)
	}
}

// damaged is a copy of the layout with one blob that is wrong.
func (f *fixture) damaged(t *testing.T, digest string, damage func(*testing.T, string)) (ref string) {
	t.Helper()
	dir, ref := f.clone(t)
	damage(t, blob(dir, digest))
	return ref
}

// archived is a layout as an archive, with whatever is wrong with it.
func archived(t *testing.T, ref string) string {
	t.Helper()
	dir := strings.TrimSuffix(strings.TrimPrefix(ref, "oci:"), ":v1")
	file := filepath.Join(tempDir(t), "bundle.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", file, "oci-layout", "index.json", "blobs").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	return "oci-archive:" + file + ":v1"
}

// forging is a registry that has what ref names, and answers with another byte whenever it is asked for the digest.
func forging(t *testing.T, ref, digest string) string {
	t.Helper()
	next := newRegistry(t)
	goferry(t, "copy", "--plain-http", ref, startHandler(t, security{}, next).host+"/app:v1")
	return startHandler(t, security{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		body := answer.Body.Bytes()
		isIt := strings.HasSuffix(r.URL.Path, digest) || answer.Header().Get("Docker-Content-Digest") == digest
		if isIt && r.Method == http.MethodGet && answer.Code == http.StatusOK {
			body[len(body)/2] ^= 1
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		if r.Method != http.MethodHead {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		w.WriteHeader(answer.Code)
		w.Write(body)
	})).host + "/app:v1"
}
