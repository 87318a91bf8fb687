package oci

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// signedBundle is a layout with a bundle, a referrer of its index and of a child, one that refers to a referrer,
// and cosign tags.
func signedBundle(t testing.TB) (dir string, root ocispec.Descriptor) {
	t.Helper()
	dir = t.TempDir()
	s := mustCreate(t, dir)
	root = pushBundle(t, s, "linux/amd64", "linux/arm64")
	first := pushReferrer(t, s, root, "on the index")
	pushReferrer(t, s, first, "on a referrer")
	child := manifestsOf(t, s, root)[0]
	pushReferrer(t, s, bare(child), "on a child")
	sig := pushBundle(t, s, "plan9/386") // any manifest will do
	mustTag(t, s, sig, fallbackTag(root.Digest)+".sig")
	mustTag(t, s, pushBundle(t, s, "plan9/arm"), fallbackTag(child.Digest)+".att")
	mustTag(t, s, root, "v1")
	mustClose(t, s)
	return dir, root
}

// checkSigned fails unless all of signedBundle is in s and whole.
func checkSigned(t testing.TB, s Store, root ocispec.Descriptor, tag string) {
	t.Helper()
	ctx := context.Background()
	if got, err := s.Resolve(ctx, tag); err != nil || got.Digest != root.Digest {
		t.Fatalf("Resolve(%q) = %v, %v, want %v", tag, got, err, root)
	}
	g, err := Walk(ctx, s, root)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Documents) != 10 || len(g.Tags) != 2 {
		t.Errorf("%d documents and %d cosign tags arrived, want 10 and 2", len(g.Documents), len(g.Tags))
	}
	for _, b := range g.Blobs {
		rc, err := s.Fetch(ctx, b)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := copyBlob(ctx, io.Discard, rc, b); err != nil {
			t.Error(err)
		}
		rc.Close()
	}
}

func TestCopyEverywhere(t *testing.T) {
	dir, root := signedBundle(t)
	places := map[string]func(t *testing.T) (Reference, Options){
		"layout": func(t *testing.T) (Reference, Options) {
			return Reference{Transport: TransportLayout, Path: filepath.Join(t.TempDir(), "l")}, Options{}
		},
		"archive": func(t *testing.T) (Reference, Options) {
			return Reference{Transport: TransportArchive, Path: filepath.Join(t.TempDir(), "a.tar")}, Options{}
		},
		"registry without referrers": func(t *testing.T) (Reference, Options) { return startRegistry(t, false, nil) },
		"registry with referrers":    func(t *testing.T) (Reference, Options) { return startRegistry(t, true, nil) },
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			ref, opts := place(t)
			src := mustOpen(t, dir)
			defer src.Close()
			dst := mustDo(Create(t.Context(), ref, opts))
			if _, err := Copy(t.Context(), src, "v1", dst, "v2", CopyOptions{}); err != nil {
				t.Fatal(err)
			}
			mustClose(t, dst)
			mid := mustDo(Open(t.Context(), ref, opts))
			defer mid.Close()
			checkSigned(t, mid, root, "v2")

			// And from there to everywhere.
			for name, place := range places {
				ref, opts := place(t)
				dst := mustDo(Create(t.Context(), ref, opts))
				if _, err := Copy(t.Context(), mid, "v2", dst, "v3", CopyOptions{}); err != nil {
					t.Fatalf("to %s: %v", name, err)
				}
				mustClose(t, dst)
				dst = mustDo(Open(t.Context(), ref, opts))
				checkSigned(t, dst, root, "v3")
				mustClose(t, dst)
			}
		})
	}
}

// TestCopyOrder holds that a registry gets the signature of a child before the index that names the child, attestations
// after all signatures, and the tag that was asked for last.
func TestCopyOrder(t *testing.T) {
	dir, root := signedBundle(t)
	src := mustOpen(t, dir)
	defer src.Close()
	children := manifestsOf(t, src, root)
	config, subject := ocispec.DescriptorEmptyJSON, bare(children[0])
	config.Data = nil
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{config}, Subject: &subject}
	m.SchemaVersion = 2
	m.Annotations = map[string]string{annotationPredicateType: predicateSignature}
	signature := pushJSON(t, src, ocispec.MediaTypeImageManifest, m)
	mustTag(t, src, signature, string(signature.Digest))
	var mu sync.Mutex
	var puts []string
	ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, name, ok := strings.Cut(r.URL.Path, "/manifests/"); ok && r.Method == http.MethodPut {
				mu.Lock()
				puts = append(puts, name)
				mu.Unlock()
			}
			next.ServeHTTP(w, r)
		})
	})
	dst := mustDo(Create(t.Context(), ref, opts))
	defer dst.Close()
	if _, err := Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		string(children[0].Digest), string(signature.Digest), string(root.Digest), SignatureTag(root.Digest), fallbackTag(children[0].Digest) + ".att", "v1",
	}
	var at []int
	for _, name := range want {
		at = append(at, slices.Index(puts, name))
	}
	if !slices.IsSorted(at) || at[0] < 0 || puts[len(puts)-1] != "v1" {
		t.Errorf("put in the order %q, want among them %q", puts, want)
	}
}

func TestCopyAgainSkips(t *testing.T) {
	dir, _ := signedBundle(t)
	layoutRef := Reference{Transport: TransportLayout, Path: t.TempDir()}
	for _, ref := range []Reference{layoutRef, {}} {
		opts := Options{}
		if ref == (Reference{}) {
			ref, opts = startRegistry(t, true, nil)
		}
		var copied, skipped, n atomic.Int64
		how := CopyOptions{
			OnCopied:  func(ocispec.Descriptor) { copied.Add(1) },
			OnSkipped: func(ocispec.Descriptor) { skipped.Add(1) },
			OnBytes:   func(b int64) { n.Add(b) },
		}
		for run := range 2 {
			copied.Store(0)
			n.Store(0)
			src, dst := mustOpen(t, dir), mustDo(Create(t.Context(), ref, opts))
			if _, err := Copy(t.Context(), src, "v1", dst, "v1", how); err != nil {
				t.Fatal(err)
			}
			mustClose(t, src)
			mustClose(t, dst)
			if run == 0 && skipped.Load() != 0 || run == 1 && (copied.Load() != 3 || n.Load() != 0) {
				t.Errorf("%s, run %d: copied %d (%d bytes), skipped %d; want all, then only the 3 referrers",
					ref, run, copied.Load(), n.Load(), skipped.Load())
			}
		}
	}
}

func TestCopyByDigest(t *testing.T) {
	dir, root := signedBundle(t)
	src, dst := mustOpen(t, dir), mustCreate(t, t.TempDir())
	defer src.Close()
	defer dst.Close()
	if _, err := Copy(t.Context(), src, string(root.Digest), dst, "", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	checkSigned(t, dst, root, string(root.Digest))
}

func TestCopyRefusesDamage(t *testing.T) {
	for name, damage := range map[string]func(path string, data []byte) error{
		"cut":     func(p string, data []byte) error { return os.Truncate(p, int64(len(data)/2)) },
		"flipped": func(p string, data []byte) error { data[len(data)-1] ^= 1; return os.WriteFile(p, data, 0o644) },
		"longer":  func(p string, data []byte) error { return os.WriteFile(p, append(data, 0), 0o644) },
		"missing": func(p string, data []byte) error { return os.Remove(p) },
		"fifo":    func(p string, data []byte) error { os.Remove(p); return mkfifo(p) },
		"symlink": func(p string, data []byte) error { os.Remove(p); return os.Symlink("/dev/zero", p) },
	} {
		t.Run(name, func(t *testing.T) {
			clean, root := signedBundle(t)
			s := mustOpen(t, clean)
			g := mustDo(Walk(t.Context(), s, root))
			mustClose(t, s)
			victims := []digest.Digest{root.Digest, g.Blobs[0].Digest, g.Blobs[len(g.Blobs)-1].Digest, g.Documents[0].Descriptor.Digest}
			for _, victim := range victims {
				dir, _ := signedBundle(t)
				path := filepath.Join(dir, blobPath(victim))
				data := mustDo(os.ReadFile(path))
				if err := damage(path, data); err != nil {
					t.Fatal(err)
				}
				for _, to := range []string{"layout", "registry", "archive"} {
					ref, opts := Reference{Transport: TransportLayout, Path: t.TempDir()}, Options{}
					switch to {
					case "registry":
						ref, opts = startRegistry(t, true, nil)
					case "archive":
						ref = Reference{Transport: TransportArchive, Path: filepath.Join(t.TempDir(), "a.tar")}
					}
					want := ErrDigest
					if name == "missing" {
						want = ErrNotFound
					}
					src, dst := mustOpen(t, dir), mustDo(Create(t.Context(), ref, opts))
					if _, err := Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}); !errors.Is(err, want) {
						t.Errorf("Copy of a %s %s to a %s = %v, want %v", name, victim, to, err, want)
					}
					if to != "archive" {
						if _, err := dst.Resolve(t.Context(), "v1"); !errors.Is(err, ErrNotFound) {
							t.Errorf("%s has a tag: %v", to, err)
						}
					}
					mustClose(t, src)
					mustClose(t, dst)
					if to == "archive" {
						if files := mustDo(os.ReadDir(filepath.Dir(ref.Path))); len(files) > 0 {
							t.Errorf("archive left %v", files)
						}
					}
				}
			}
		})
	}
}

func TestCopyStopsWhenCancelled(t *testing.T) {
	dir, _ := signedBundle(t)
	src, dst := mustOpen(t, dir), mustCreate(t, t.TempDir())
	defer src.Close()
	defer dst.Close()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Copy(ctx, src, "v1", dst, "v1", CopyOptions{OnBytes: func(int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Copy = %v, want context.Canceled", err)
	}
	if _, err := dst.Resolve(t.Context(), "v1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a cancelled copy has a tag: %v", err)
	}
}

func TestArchiveIsDeterministic(t *testing.T) {
	dir, root := signedBundle(t)
	var first []byte
	for i := range 3 {
		ref := Reference{Transport: TransportArchive, Path: filepath.Join(t.TempDir(), "a.tar")}
		src, dst := mustOpen(t, dir), mustDo(Create(t.Context(), ref, Options{}))
		mustDo(Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{Concurrency: 1 + 3*i}))
		if files := mustDo(os.ReadDir(filepath.Dir(ref.Path))); len(files) != 1 || files[0].Name() == "a.tar" {
			t.Errorf("before Close there is %v", files)
		}
		if got := fetchAll(t, dst, root); len(got) == 0 {
			t.Error("an archive cannot be read while it is written")
		}
		mustClose(t, src)
		mustClose(t, dst)
		mustClose(t, dst)
		data := mustDo(os.ReadFile(ref.Path))
		if first == nil {
			first = data
		}
		if !bytes.Equal(data, first) {
			t.Error("the same bundle made another archive")
		}
	}
}

func TestArchivePushOfWrongBytesIsUndone(t *testing.T) {
	ref := Reference{Transport: TransportArchive, Path: filepath.Join(t.TempDir(), "a.tar")}
	s := mustDo(Create(t.Context(), ref, Options{}))
	desc, _ := pushLayer(t, s, "right")
	for _, wrong := range []string{"", "short", strings.Repeat("x", int(desc.Size)), strings.Repeat("x", 5000)} {
		other := desc
		other.Digest = digest.FromString("another")
		if err := s.Push(t.Context(), other, strings.NewReader(wrong)); !errors.Is(err, ErrDigest) {
			t.Errorf("Push = %v, want ErrDigest", err)
		}
	}
	root := pushBundle(t, s, "linux/amd64")
	mustTag(t, s, root, "v1")
	mustClose(t, s)
	s = mustDo(Open(t.Context(), ref, Options{}))
	defer s.Close()
	if ok, err := s.Exists(t.Context(), desc); !ok || err != nil {
		t.Errorf("Exists = %v, %v", ok, err)
	}
	if tags := slices.Collect(firsts(s.Tags(t.Context()))); !slices.Equal(tags, []string{"v1"}) {
		t.Errorf("Tags = %v", tags)
	}
}

func firsts(seq func(func(string, error) bool)) func(func(string) bool) {
	return func(yield func(string) bool) {
		seq(func(s string, err error) bool { return yield(s) })
	}
}

// mustDo is for calls that only fail if the test is wrong.
func mustDo[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
