package bundle

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
)

// sourceText returns text that deflates about as well as Go source does.
func sourceText(r *rand.Rand, size int) string {
	words := []string{"func ", "return ", "if err != nil {\n\t\t", "}\n", "string", "(ctx context.Context", ") error {\n", "\t", "fmt.Errorf(", "range "}
	var b bytes.Buffer
	for b.Len() < size {
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "name%d ", r.IntN(1e6))
		} else {
			b.WriteString(words[r.IntN(len(words))])
		}
	}
	return b.String()
}

// benchModules makes n modules of 40 files each.
func benchModules(b *testing.B, n int) []gomod.Module {
	b.Helper()
	dir := b.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	var modules []gomod.Module
	for i := range n {
		path := fmt.Sprintf("example.com/bench%03d", i)
		files := []zipFile{{path + "@v1.0.0/go.mod", "module " + path + "\n"}}
		for f := range 40 {
			files = append(files, zipFile{fmt.Sprintf("%s@v1.0.0/f%d.go", path, f), sourceText(r, r.IntN(50_000))})
		}
		data := makeZip(b, files...)
		name := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(name, data, 0o644); err != nil {
			b.Fatal(err)
		}
		modules = append(modules, gomod.Module{
			Path: path, Version: "v1.0.0", Info: []byte(`{"Version":"v1.0.0"}`), Mod: []byte("module " + path + "\n"),
			Zip: name, Size: int64(len(data)),
		})
	}
	return modules
}

func benchCapture(b *testing.B) (*gomod.Captured, int64) {
	c := &gomod.Captured{Modules: benchModules(b, 60), Env: gomod.GoEnv{GOSUMDB: "off"}}
	c.Toolchains = []gomod.Toolchain{testToolchain(b, b.TempDir(), "go1.26.8", linux)}
	var size int64
	for _, m := range c.Modules {
		size += m.Size
	}
	return c, size
}

// BenchmarkZipSum is the cost of recomputing the "h1:" sum, by the zip's bytes.
func BenchmarkZipSum(b *testing.B) {
	m := benchModules(b, 1)[0]
	data, err := os.ReadFile(m.Zip)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(m.Size)
	for b.Loop() {
		if _, err := zipSum(module.Version{Path: m.Path, Version: m.Version}, bytes.NewReader(data), m.Size); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkModuleLayer is the cost of a layer's bytes alone.
func BenchmarkModuleLayer(b *testing.B) {
	m := benchModules(b, 1)[0]
	b.SetBytes(m.Size)
	for b.Loop() {
		s, err := moduleSource(m)
		if err != nil {
			b.Fatal(err)
		}
		r, err := s.open(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := copyAll(b.Context(), io.Discard, r); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkPack(b *testing.B) {
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "first", true: "again"}[again], func(b *testing.B) {
			c, size := benchCapture(b)
			cache := ""
			if again {
				cache = b.TempDir()
			}
			b.SetBytes(size)
			for b.Loop() {
				if _, err := packCaptured(b.Context(), layout(b, b.TempDir()), c, cache); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	c, size := benchCapture(b)
	s, _ := packTest(b, c, b.TempDir())
	v := verifyTest(b, s)
	b.SetBytes(size)
	for b.Loop() {
		if _, err := v.Check(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	for _, again := range []bool{false, true} {
		b.Run(map[bool]string{false: "first", true: "again"}[again], func(b *testing.B) {
			c, size := benchCapture(b)
			s, _ := packTest(b, c, b.TempDir())
			v := verifyTest(b, s)
			dir := b.TempDir()
			b.SetBytes(size)
			for n := 0; b.Loop(); n++ {
				to := dir
				if !again {
					to = filepath.Join(dir, fmt.Sprint(n))
				}
				if _, err := Unpack(b.Context(), alone(v), to, UnpackOptions{Platform: linux}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
