package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/oci"
)

// A SiteFile is one file of a site's GOPROXY tree.
type SiteFile struct {
	Size      int64  // -1: not known before it was opened once
	ETag      string // strong, the same after a restart; without quotes
	Immutable bool   // it never changes under its name

	open  func(context.Context) (io.ReadSeekCloser, error)
	given *givenBack // nil for what is in a layer as it is
}

// Open opens the file, which the caller closes. A zip of a layout or an archive is sent by the kernel when
// [net/http.ServeContent] copies it to a connection. One that comes from a registry ends only after its
// digest was found right; read from elsewhere than the beginning it is fetched as a whole first.
func (f SiteFile) Open(ctx context.Context) (io.ReadSeekCloser, error) { return f.open(ctx) }

// smallFile is a file that is kept in memory.
func smallFile(data []byte, immutable bool) SiteFile {
	return SiteFile{
		Size: int64(len(data)), ETag: digest.FromBytes(data).Encoded()[:32], Immutable: immutable,
		open: func(context.Context) (io.ReadSeekCloser, error) { return memoryFile{bytes.NewReader(data)}, nil },
	}
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

// A siteLayer is a layer and the bundle that it is read from.
type siteLayer struct {
	name string // of the bundle
	v    *Verified
	proofLayer
}

// members returns the layers that l is made of.
func (l siteLayer) members() []siteLayer {
	var list []siteLayer
	for _, m := range l.proofLayer.members() {
		list = append(list, siteLayer{l.name, l.v, m})
	}
	return list
}

// siteLayers returns the layers that the bundle's layers are made of.
func (b SiteBundle) siteLayers() []siteLayer {
	var list []siteLayer
	for _, l := range b.layers() {
		list = append(list, siteLayer{b.Name, b.Verified, l}.members()...)
	}
	return list
}

// zipFile is the zip of a module layer.
func (l siteLayer) zipFile(c moduleContent) SiteFile {
	return SiteFile{
		Size: c.zipEnd - c.zip, ETag: l.desc.Digest.Encoded()[:32], Immutable: true,
		open: func(ctx context.Context) (io.ReadSeekCloser, error) { return l.openZip(ctx, c) },
	}
}

func (l siteLayer) openZip(ctx context.Context, c moduleContent) (io.ReadSeekCloser, error) {
	size := c.zipEnd - c.zip
	if files, ok := l.v.store.(oci.FileStore); ok {
		f, offset, err := files.OpenFile(ctx, l.blob())
		if err == nil {
			return newFileRange(f, offset+l.offset+c.zip, size)
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, named("layer", l.blob().Digest, err)
		}
	}
	b, err := l.v.openOwn(ctx, l.proofLayer)
	if err != nil {
		return nil, err
	}
	if at, ok := b.rc.(io.ReaderAt); ok {
		return section{io.NewSectionReader(at, c.zip, size), b}, nil
	}
	return &zipStream{
		blob: b, skip: c.zip, size: size,
		finish: func() error { return b.finish(ctx) },
		whole:  func() (io.ReadSeekCloser, error) { return l.spool(ctx, c) },
	}, nil
}

// local says whether the layer is on this machine.
func (l siteLayer) local() bool {
	_, ok := l.v.store.(oci.FileStore)
	return ok
}
