package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/module"
)

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
	c, wantTail, err := b.moduleHead(ctx, m)
	if err != nil {
		return c, err
	}
	zipSize := c.zipEnd - c.zip
	known := v.proofs.has(proofLayer{desc: desc})
	var zip io.ReaderAt = to
	w := io.Writer(to)
	if to == nil && known {
		w = io.Discard
	} else if to == nil {
		if at, ok := b.rc.(io.ReaderAt); ok {
			zip, w = io.NewSectionReader(at, c.zip, zipSize), io.Discard
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

// moduleHead reads what stands before the bytes of the zip, and returns what has to stand behind them.
func (b *blobReader) moduleHead(ctx context.Context, m module.Version) (c moduleContent, tail []byte, err error) {
	var head bytes.Buffer
	c, zipSize, err := readModuleHead(tar.NewReader(io.TeeReader(b, &head)), m)
	if err != nil {
		return c, nil, b.blame(ctx, err)
	}
	if err := b.v.hold(c); err != nil {
		return c, nil, err
	}
	want, tail, err := moduleTar(m, c.info, c.mod, zipSize)
	if err != nil {
		return c, nil, err
	}
	c.zip = int64(len(want))
	c.zipEnd = c.zip + zipSize
	if !bytes.Equal(head.Bytes(), want) || c.zipEnd+int64(len(tail)) != b.desc.Size {
		return c, nil, b.blame(ctx, errors.New("the layer is not in the form that goferry writes"))
	}
	return c, tail, nil
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
