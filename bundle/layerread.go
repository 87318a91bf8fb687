package bundle

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
)

// Limits of what is read into memory, in bytes.
const (
	maxInfo   = 64 << 10
	maxGoMod  = 16 << 20  // cmd/go's limit
	maxHeld   = 128 << 20 // of all modules' .info and go.mod files together; 1,000 modules have one
	maxGraph  = 128 << 20
	maxRecord = 32 << 20
)

// layerModule returns the module that a layer's descriptor names, if it is a proper one.
func layerModule(desc ocispec.Descriptor) (module.Version, bool) {
	path, version, ok := strings.Cut(desc.Annotations[AnnotationModule], "@")
	if !ok || !isSum(desc.Annotations[AnnotationSum]) {
		return module.Version{}, false
	}
	if _, err := module.EscapePath(path); err != nil {
		return module.Version{}, false
	}
	if _, err := module.EscapeVersion(version); err != nil {
		return module.Version{}, false
	}
	return module.Version{Path: path, Version: version}, true
}

// isSum says whether s looks like a sum of go.sum's first kind, "h1:" and base64.
func isSum(s string) bool {
	hash, ok := strings.CutPrefix(s, "h1:")
	return ok && !strings.ContainsFunc(hash, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("+/=", c)
	})
}

// readToolchain reads a GOROOT layer, hands its files to visit and, when all is proven, writes its
// module zip to zip; either may be nil. As long as it has not returned without an error nothing
// that visit was given is proven.
func (v *Verified) readToolchain(ctx context.Context, l proofLayer, visit func(toolchain.File, io.Reader) error, zip io.Writer) error {
	m, _ := layerModule(l.desc)
	b, err := v.openBlob(ctx, l.desc)
	if err != nil {
		return err
	}
	defer b.Close()
	if zip == nil {
		if visit == nil && v.proofs.has(l) {
			return b.finish(ctx)
		}
		return b.proveToolchain(ctx, l, m.Version, visit)
	}
	layer, err := b.keep()
	if err != nil {
		return err
	}
	defer layer.Close()
	if err := b.proveToolchain(ctx, l, m.Version, visit); err != nil {
		return err
	}
	return toolchain.WriteZip(ctx, zip, layer, l.desc.Size, m.Version)
}

func (b *blobReader) proveToolchain(ctx context.Context, l proofLayer, version string, visit func(toolchain.File, io.Reader) error) error {
	got, err := toolchain.Walk(ctx, b, version, visit)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, errVisit) {
			return err
		}
		return b.blame(ctx, err)
	}
	if err := b.finish(ctx); err != nil {
		return err
	}
	if want := l.desc.Annotations[AnnotationSum]; got.Sum != want {
		return fmt.Errorf("%w: the toolchain has the sum %s, the bundle says %s", ErrMismatch, got.Sum, want)
	}
	if l.diffID != "" && got.DiffID != l.diffID {
		return fmt.Errorf("%w: the layer's diff_id is %s, the config says %s", ErrMismatch, got.DiffID, l.diffID)
	}
	b.v.proofs.put(l.desc.Digest, l.desc.Annotations[AnnotationModule], proof{got.Sum, got.DiffID})
	return nil
}

// proofLayer is a layer with the diff_id that an image config has for it, or one that a group is made of.
type proofLayer struct {
	desc     ocispec.Descriptor
	diffID   digest.Digest       // "" where the manifest is not an image, and in a group, which is not compressed
	platform gomod.Platform      // of one that has the layer; of a tool the only one
	group    *ocispec.Descriptor // that it is a part of; nil: it is a blob itself
	offset   int64               // in the group
}

// blob is what has to be read for the layer.
func (l proofLayer) blob() ocispec.Descriptor {
	if l.group != nil {
		return *l.group
	}
	return l.desc
}

// readGraph reads the graph layer into memory.
func (v *Verified) readGraph(ctx context.Context, desc ocispec.Descriptor) (map[string][]byte, error) {
	if desc.Size > maxGraph {
		return nil, fmt.Errorf("%w: the module graph has %d bytes, more than %d", ErrMismatch, desc.Size, maxGraph)
	}
	b, err := v.openBlob(ctx, desc)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	files, err := readGraphTar(b, desc.Size)
	if err != nil {
		return nil, b.blame(ctx, err)
	}
	if err := b.finish(ctx); err != nil {
		return nil, err
	}
	again := digest.SHA256.Digester()
	if err := writeGraph(again.Hash(), files); err != nil {
		return nil, err
	}
	if again.Digest() != desc.Digest {
		return nil, fmt.Errorf("%w: the module graph's layer is not in the form that goferry writes", ErrMismatch)
	}
	return files, nil
}

// readGraphTar reads the files of a graph layer of the given size. It is not strict: what it
// takes is written again and compared.
func readGraphTar(r io.Reader, size int64) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Name == tmpDir {
			continue
		}
		if size -= h.Size; h.Typeflag != tar.TypeReg || size < 0 { // a sparse file may claim any size
			return nil, fmt.Errorf("%q is not a regular file of %d bytes", h.Name, h.Size)
		}
		const exact = 4 << 20 // beyond this nothing is believed that is not there
		if h.Size > exact {
			files[h.Name], err = io.ReadAll(tr)
		} else {
			files[h.Name] = make([]byte, h.Size)
			_, err = io.ReadFull(tr, files[h.Name])
		}
		if err != nil {
			return nil, err
		}
	}
}
