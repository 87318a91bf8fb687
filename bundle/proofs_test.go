package bundle

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestProofsAreRemembered(t *testing.T) {
	const name, sum = "example.com/m@v1.0.0", "h1:a"
	blob, diffID := digest.FromString("blob"), digest.FromString("diff")
	dir := t.TempDir()
	p := openProofs(dir)
	p.put(blob, name, proof{sum, diffID})
	p.save()
	f, err := os.OpenFile(filepath.Join(dir, "proofs"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "sha256:zz "+name+" h1:b\nnonsense\n"+string(blob)+" x1:b\n"+string(blob)+" other x1:b\n"+string(blob)+" h1:b\n")
	f.Close()
	p = openProofs(dir)
	if len(p.known) != 1 {
		t.Errorf("known = %v, want one", p.known)
	}
	if openProofs("").has(layerOf(blob, name, sum)) {
		t.Error("without a directory something is known")
	}
	withDiffID := layerOf(blob, name, sum)
	withDiffID.diffID = diffID
	otherDiffID := withDiffID
	otherDiffID.diffID = blob
	for _, tt := range []struct {
		name string
		l    proofLayer
		want bool
	}{
		{"the layer", layerOf(blob, name, sum), true},
		{"with its diff_id", withDiffID, true},
		{"with another diff_id", otherDiffID, false},
		{"another blob", layerOf(diffID, name, sum), false},
		{"as another version", layerOf(blob, "example.com/m@v1.0.1", sum), false},
		{"with another sum", layerOf(blob, name, "h1:b"), false},
	} {
		if got := p.has(tt.l); got != tt.want {
			t.Errorf("%s: known is %v, want %v", tt.name, got, tt.want)
		}
	}
}

func layerOf(d digest.Digest, name, sum string) proofLayer {
	return proofLayer{desc: ocispec.Descriptor{Digest: d, Annotations: map[string]string{AnnotationModule: name, AnnotationSum: sum}}}
}

// What was proven is not computed again, by any who reads the layers, and damage is found all the same.
func TestCheckRemembers(t *testing.T) {
	dir, cacheDir := t.TempDir(), t.TempDir()
	s, _ := packTest(t, captured(t), dir)
	check := func() (*Report, error) {
		t.Helper()
		v, err := Verify(t.Context(), layout(t, dir), "v1", VerifyOptions{CacheDir: cacheDir})
		if err != nil {
			t.Fatal(err)
		}
		return v.Check(t.Context())
	}
	for again, want := range []func(*Report) int{func(*Report) int { return 0 }, func(r *Report) int { return r.Modules + r.Toolchains }} {
		r, err := check()
		if err != nil {
			t.Fatal(err)
		}
		if r.Remembered != want(r) {
			t.Errorf("run %d: %d remembered, want %d", again, r.Remembered, want(r))
		}
	}
	for _, l := range verifyTest(t, s).layers() {
		name := filepath.Join(dir, "blobs", "sha256", l.desc.Digest.Encoded())
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := check(); err == nil {
			t.Errorf("%s: damaged, and nothing is said", layerName(l.desc))
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
