package bundle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"github.com/goferry/goferry/bundle/toolchain"
	"github.com/goferry/goferry/oci/space"
)

// moduleFrame is what a module layer may have beside the bytes of its files: headers, padding, the end.
const moduleFrame = 8 << 10

// gorootRatio is how many times as large as its layer a GOROOT is at least: that of Go 1.26 is 3.4 times as large.
const gorootRatio = 3

// checkRoom fails if the disk cannot take the files that are not linked.
func (u *unpacker) checkRoom(ctx context.Context) error {
	return space.Check(u.tree.dir, u.need(ctx))
}

// need is what is written. A module layer is as large as the module's files, but for the tar around them; a toolchain's
// as its module zip; a tool is about twice as large as its layer.
func (u *unpacker) need(ctx context.Context) (need space.Need) {
	for name, l := range u.layers {
		if u.links[name] != nil {
			continue
		}
		need.Add(l.desc.Size - moduleFrame)
		need.Files += 2 // .info and .mod
		kind := layerKind(l.desc)
		switch {
		case kind == kindTool:
			need.Bytes += l.desc.Size
		case u.isGOROOT(l) || u.opts.Extract && kind != kindToolchain:
			bytes, files := l.extractedSize(ctx)
			need.Bytes += bytes
			need.Files += files
		}
	}
	for _, data := range u.merged.sumdb {
		need.Add(int64(len(data)))
	}
	return need
}

// extractedSize is how large the files in a GOROOT or a module zip are, and how many. A layer on this machine says it, if it
// is to be believed; of one in a registry it is the least that there can be, as that would have to be read. What does not
// read well is told by who unpacks it.
func (l siteLayer) extractedSize(ctx context.Context) (size, files int64) {
	goroot := layerKind(l.desc) == kindToolchain
	if least := max(l.desc.Size-moduleFrame, 0); goroot {
		size = gorootRatio * least
	} else {
		size = least
	}
	if !l.local() {
		return size, files
	}
	rc, err := l.v.store.Fetch(ctx, l.blob())
	if err != nil {
		return size, files
	}
	defer rc.Close()
	at, ok := rc.(io.ReaderAt)
	if !ok {
		return size, files
	}
	if goroot {
		if inflated, err := toolchain.Size(at, l.desc.Size); err == nil {
			size = inflated
		}
		return size, files
	}
	m, _ := layerModule(l.desc)
	if inflated, n, err := zipContentSize(m, io.NewSectionReader(at, l.offset, l.desc.Size)); err == nil {
		size, files = inflated, n
	}
	return size, files
}

// zipContentSize reads the directory of the zip in a module layer.
func zipContentSize(m module.Version, layer *io.SectionReader) (size, files int64, err error) {
	var head bytes.Buffer
	_, zipSize, err := readModuleHead(tar.NewReader(io.TeeReader(layer, &head)), m)
	if err != nil {
		return 0, 0, err
	}
	content := io.NewSectionReader(layer, int64(head.Len()), zipSize)
	if err := checkDirectory(content, zipSize); err != nil {
		return 0, 0, err
	}
	z, err := zip.NewReader(content, zipSize)
	if err != nil {
		return 0, 0, err
	}
	for _, f := range z.File {
		if size += int64(min(f.UncompressedSize64, modzip.MaxZipFile)); !f.Mode().IsDir() {
			files++
		}
	}
	return size, files, nil
}

// nameFull says which directory there is no room in: files are named below it.
func (u *unpacker) nameFull(err error) error {
	var named *space.Error
	if space.Full(err) && !errors.As(err, &named) {
		return fmt.Errorf("%s: %w", u.tree.dir, err)
	}
	return err
}
