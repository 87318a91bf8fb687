package bundle

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// TestSignedDamage holds that verify never says yes to a signed layout of which anything was changed that the index
// stands for, whatever else is changed: flip a bit of a file, cut it, lengthen it, drop it, put another in its place.
func TestSignedDamage(t *testing.T) {
	dir := t.TempDir()
	s, index := packTest(t, captured(t), dir)
	key := testSigner(t)
	sign(t, s, "v1", key, SignOptions{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	inside := belowIndex(t, dir, index.Digest.Encoded())
	var files []string
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			files = append(files, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i, name := range files {
		was, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(files[(i+1)%len(files)])
		if err != nil {
			t.Fatal(err)
		}
		for _, now := range damaged(random, was, other) {
			if now == nil {
				err = os.Remove(name)
			} else {
				err = os.WriteFile(name, now, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			err := verifySigned(t.Context(), dir, key)
			if err != nil {
				refused++
			}
			if err == nil && inside[filepath.Base(name)] {
				t.Errorf("%s: %d bytes instead of %d: verified", name, len(now), len(was))
			}
		}
		if err := os.WriteFile(name, was, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := verifySigned(t.Context(), dir, key); err != nil || refused == 0 {
		t.Errorf("the layout as it was: %v, after %d that were refused", err, refused)
	}
}

// damaged returns what a file may be instead; nil is no file.
func damaged(random *rand.Rand, was, other []byte) [][]byte {
	now := [][]byte{nil, {}, was[:len(was)-1], append(bytes.Clone(was), 0), other}
	for range 8 {
		flipped := bytes.Clone(was)
		flipped[random.IntN(len(was))] ^= 1 << random.IntN(8)
		now = append(now, flipped)
	}
	return now
}

func verifySigned(ctx context.Context, dir string, key *signing.Signer) error {
	s, err := oci.Open(ctx, oci.Reference{Transport: oci.TransportLayout, Path: dir}, oci.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	v, err := Verify(ctx, s, "v1", VerifyOptions{Trust: trustIn(key)})
	if err != nil {
		return err
	}
	_, err = v.Check(ctx)
	return err
}

// belowIndex returns the names of all blobs that the index names, directly or not, without the help of what is tested.
func belowIndex(t *testing.T, dir, index string) map[string]bool {
	t.Helper()
	blobs := filepath.Join(dir, "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{index: true}
	for again := true; again; {
		again = false
		for _, e := range entries {
			if found[e.Name()] {
				continue
			}
			for name := range found {
				data, err := os.ReadFile(filepath.Join(blobs, name))
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(data), "sha256:"+e.Name()) {
					found[e.Name()], again = true, true
					break
				}
			}
		}
	}
	if len(found) < 8 || len(found) >= len(entries) {
		t.Fatalf("%d of %d blobs belong to the index", len(found), len(entries))
	}
	return found
}
