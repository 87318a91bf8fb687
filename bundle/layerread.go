package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

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

// moduleContent is what a layer holds, of a module: two files, and where the bytes of the third are.
type moduleContent struct {
	info, mod   []byte
	zip, zipEnd int64       // in the layer
	tool        toolContent // what a tool's layer holds instead
}

// A place takes the zip of a module while its layer is read, and gives it back to be proven.
type place interface {
	io.Writer
	io.ReaderAt
}

// readModules reads a layer of modules once, and hands the own layer of each to read, which need not read it. The first
// error of read ends it.
func (v *Verified) readModules(ctx context.Context, l proofLayer, read func(proofLayer, *blobReader) error) error {
	b, err := v.openBlob(ctx, l.desc)
	if err != nil {
		return err
	}
	defer b.Close()
	if layerKind(l.desc) != kindGroup {
		return read(l, b)
	}
	for _, m := range l.members() {
		own := b.member(m)
		if err := read(m, own); err != nil {
			return fmt.Errorf("%s: %w", layerName(m.desc), err)
		}
		if _, err := copyAll(ctx, io.Discard, own.r); err != nil {
			return err
		}
	}
	end, err := io.ReadAll(io.LimitReader(b, tarEnd))
	if err != nil {
		return err
	}
	if err := b.finish(ctx); err != nil {
		return err
	}
	if !bytes.Equal(end, make([]byte, tarEnd)) {
		return fmt.Errorf("%w: there is something behind the last module", ErrMismatch)
	}
	return nil
}

// module reads the layer of one module. The bytes of the zip go to to; if to is nil they are read again
// at the blob itself, or from a temporary file where the store cannot do that. Everything is proven when it returns without an error: the
// layer's digest, its one possible form, the zip's sum, unless that of the same layer was proven before.
func (b *blobReader) module(ctx context.Context, to place) (moduleContent, error) {
	v, desc := b.v, b.desc
	m, _ := layerModule(desc)
	var head bytes.Buffer // all that stands before the zip's bytes
	c, zipSize, err := readModuleHead(tar.NewReader(io.TeeReader(b, &head)), m)
	if err != nil {
		return c, b.blame(ctx, err)
	}
	if err := v.hold(c); err != nil {
		return c, err
	}
	wantHead, wantTail, err := moduleTar(m, c.info, c.mod, zipSize)
	if err != nil {
		return c, err
	}
	offset := int64(len(wantHead))
	c.zip, c.zipEnd = offset, offset+zipSize
	if !bytes.Equal(head.Bytes(), wantHead) || offset+zipSize+int64(len(wantTail)) != desc.Size {
		return c, b.blame(ctx, errors.New("the layer is not in the form that goferry writes"))
	}
	known := v.proofs.has(proofLayer{desc: desc})
	var zip io.ReaderAt = to
	w := io.Writer(to)
	if to == nil && known {
		w = io.Discard
	} else if to == nil {
		if at, ok := b.rc.(io.ReaderAt); ok {
			zip, w = io.NewSectionReader(at, offset, zipSize), io.Discard
		} else {
			s, err := newSpool(zipSize)
			if err != nil {
				return c, err
			}
			defer s.Close()
			zip, w = s, s
		}
	}
	if _, err := copyAll(ctx, w, io.LimitReader(b, zipSize)); err != nil {
		return c, err
	}
	tail, err := io.ReadAll(io.LimitReader(b, int64(len(wantTail))))
	if err != nil {
		return c, err
	}
	if err := b.finish(ctx); err != nil {
		return c, err
	}
	if !bytes.Equal(tail, wantTail) {
		return c, fmt.Errorf("%w: there is something behind the zip", ErrMismatch)
	}
	if known {
		return c, nil
	}
	sum, err := zipSum(m, zip, zipSize)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	if want := desc.Annotations[AnnotationSum]; sum != want {
		return c, fmt.Errorf("%w: the zip has the sum %s, the bundle says %s", ErrMismatch, sum, want)
	}
	v.proofs.put(desc.Digest, m.String(), proof{sum: sum})
	return c, nil
}

// readModuleHead reads a module layer up to the first byte of the zip.
func readModuleHead(tr *tar.Reader, m module.Version) (c moduleContent, zipSize int64, err error) {
	for _, f := range []struct {
		ext   string
		limit int64
		data  *[]byte
	}{{".info", maxInfo, &c.info}, {".mod", maxGoMod, &c.mod}, {".zip", 0, nil}} {
		h, err := tr.Next()
		if err != nil {
			return c, 0, err
		}
		want, err := moduleFile(m, f.ext)
		if err != nil {
			return c, 0, err
		}
		if h.Name != want {
			return c, 0, fmt.Errorf("the layer has %q where %q belongs", h.Name, want)
		}
		if f.data == nil {
			zipSize = h.Size
			break
		}
		if h.Size > f.limit {
			return c, 0, fmt.Errorf("%q has %d bytes, more than %d", h.Name, h.Size, f.limit)
		}
		if *f.data, err = io.ReadAll(tr); err != nil {
			return c, 0, err
		}
	}
	if m.Path == toolchainPath {
		return c, zipSize, checkToolchainContent(c, m.Version)
	}
	return c, zipSize, checkInfo(c.info, m.Version)
}

// checkInfo holds a .info file against the form that Pack writes.
func checkInfo(data []byte, version string) error {
	var info struct {
		Version string
		Time    *time.Time `json:",omitempty"`
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return err
	}
	if info.Version != version {
		return fmt.Errorf("the .info file is of version %q", info.Version)
	}
	if again, err := json.Marshal(info); err != nil || !bytes.Equal(again, data) {
		return fmt.Errorf("the .info file is not in the form that goferry writes")
	}
	return nil
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
