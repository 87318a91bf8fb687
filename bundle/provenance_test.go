package bundle

import (
	"testing"

	"github.com/goferry/goferry/bundle/sbom"
)

// TestModuleResource holds that a sum is written as in-toto's specification has its own example.
func TestModuleResource(t *testing.T) {
	m := sbom.Module{Path: "github.com/marklodato/go-hello-world", Version: "v0.0.1", Sum: "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="}
	r, err := moduleResource(m)
	if err != nil {
		t.Fatal(err)
	}
	if want := "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"; len(r.Digest) != 1 || r.Digest["dirHash1"] != want {
		t.Errorf("the digest set is %v, want dirHash1 %s", r.Digest, want)
	}
	if want := "pkg:golang/github.com/marklodato/go-hello-world@v0.0.1"; r.URI != want {
		t.Errorf("the URI is %q, want %q", r.URI, want)
	}
	for _, sum := range []string{"", "h1:?", "h2:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="} {
		if _, err := moduleResource(sbom.Module{Path: m.Path, Version: m.Version, Sum: sum}); err == nil {
			t.Errorf("%q was taken for a sum", sum)
		}
	}
}
