package oci

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// benchBundle is a layout tagged v1 with 200 layers of 1 KB to about 60 MB, as modules and a toolchain are.
// OCI_BENCH_DIR keeps it, to run other tools over the same.
func benchBundle(b *testing.B) (dir string, size int64) {
	b.Helper()
	dir = os.Getenv("OCI_BENCH_DIR")
	if dir == "" {
		dir = filepath.Join(b.TempDir(), "src")
	}
	s := mustCreate(b, dir)
	defer s.Close()
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	source := rand.NewChaCha8([32]byte{})
	for i := range 200 {
		n := int64(1000) << (i % 10)
		if i == 100 {
			n = 60 << 20
		}
		w := mustDo(s.(Ingester).Ingest(context.Background()))
		mustDo(io.CopyN(w, source, n))
		m.Layers = append(m.Layers, mustDo(w.Commit(ocispec.MediaTypeImageLayerGzip)))
		size += n
	}
	m.Config = pushJSON(b, s, ocispec.MediaTypeImageConfig, ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}})
	mustTag(b, s, pushJSON(b, s, ocispec.MediaTypeImageManifest, m), "v1")
	return dir, size
}

func BenchmarkLayoutIngest(b *testing.B) {
	for _, size := range []int64{10_000, 1_000_000, 100_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := mustCreate(b, b.TempDir())
			defer s.Close()
			data := make([]byte, size)
			b.SetBytes(size)
			for i := 0; b.Loop(); i++ {
				data[0], data[1], data[2] = byte(i), byte(i>>8), byte(i>>16)
				w := mustDo(s.(Ingester).Ingest(b.Context()))
				mustDo(w.Write(data))
				mustDo(w.Commit(ocispec.MediaTypeImageLayer))
			}
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	dir, size := benchBundle(b)
	for _, to := range []string{"layout", "archive", "registry"} {
		b.Run(to, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				ref, opts := Reference{Transport: TransportLayout, Path: b.TempDir()}, Options{}
				switch to {
				case "archive":
					ref = Reference{Transport: TransportArchive, Path: filepath.Join(b.TempDir(), "a.tar")}
				case "registry":
					ref, opts = startRegistry(b, true, nil)
				}
				src, dst := mustOpen(b, dir), mustDo(Create(b.Context(), ref, opts))
				mustDo(Copy(b.Context(), src, "v1", dst, "v1", CopyOptions{}))
				mustClose(b, src)
				mustClose(b, dst)
			}
		})
	}
}

// BenchmarkTag shows what a commit costs after many small blobs, with the one syncfs and with an fsync each.
func BenchmarkTag(b *testing.B) {
	for _, how := range []string{"syncfs", "fsync"} {
		b.Run(how, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := mustDo(createLayout(b.Context(), b.TempDir()))
				root := pushBundle(b, s, "linux/amd64")
				for i := range 200 {
					pushLayer(b, s, fmt.Sprint(i))
				}
				b.StartTimer()
				if how == "fsync" {
					for d := range s.unsynced {
						f := mustDo(s.root.Open(blobPath(d)))
						f.Sync()
						f.Close()
					}
				} else {
					mustTag(b, s, root, "v1")
				}
				b.StopTimer()
				mustClose(b, s)
				b.StartTimer()
			}
		})
	}
}
