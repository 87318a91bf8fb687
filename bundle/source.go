package bundle

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/toolchain"
)

// A source is a layer to be: where its bytes come from, and how its content is proven.
type source struct {
	name      string // "path@version", or what a group is called
	mediaType string
	size      int64    // of a toolchain or tool about; for progress and order
	zip       string   // file
	tool      string   // "package@version"; "": of none
	modules   []source // whose own layers a group is made of; nil: it is no group
	open      func(context.Context) (io.ReadCloser, error)
	// prove recomputes the sums from the layer's bytes. For modules r is also an io.ReaderAt.
	// It is nil for the graph, which is made of what was proven, and for a group, whose modules have one each.
	prove func(ctx context.Context, r io.Reader) (proof, error)
}

// moduleSource makes the layer of a module around its zip file.
func moduleSource(m gomod.Module) (source, error) {
	mod := module.Version{Path: m.Path, Version: m.Version}
	head, tail, err := moduleTar(mod, m.Info, m.Mod, m.Size)
	if err != nil {
		return source{}, err
	}
	offset := int64(len(head))
	size := offset + m.Size + int64(len(tail))
	return source{
		name: mod.String(), mediaType: mediaTypeTar, size: size, zip: m.Zip,
		open: func(context.Context) (io.ReadCloser, error) {
			f, err := os.Open(m.Zip)
			if err != nil {
				return nil, err
			}
			info, err := f.Stat()
			if err == nil && info.Size() != m.Size {
				err = fmt.Errorf("%s changed its size while it was packed", m.Zip)
			}
			if err != nil {
				f.Close()
				return nil, err
			}
			return sectionCloser(framed{head, f, m.Size, tail}, size, f), nil
		},
		prove: func(_ context.Context, r io.Reader) (proof, error) {
			at, ok := r.(io.ReaderAt)
			if !ok {
				return proof{}, errors.ErrUnsupported
			}
			sum, err := zipSum(mod, io.NewSectionReader(at, offset, m.Size), m.Size)
			return proof{sum: sum}, err
		},
	}, nil
}

func moduleSources(modules []gomod.Module) ([]source, error) {
	var sources []source
	for _, m := range modules {
		s, err := moduleSource(m)
		if err != nil {
			return nil, fmt.Errorf("pack %s@%s: %w", m.Path, m.Version, err)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// toolchainSource makes the layer of a toolchain from its module zip.
func toolchainSource(t gomod.Toolchain) source {
	return source{
		name: t.Module.Path + "@" + t.Module.Version, mediaType: mediaTypeTarGzip, size: t.Module.Size, zip: t.Module.Zip,
		open: func(ctx context.Context) (io.ReadCloser, error) {
			f, err := os.Open(t.Module.Zip)
			if err != nil {
				return nil, err
			}
			return piped(func(w io.Writer) error {
				defer f.Close()
				return toolchain.Transcode(ctx, w, f, t.Module.Size, t.Module.Version)
			}), nil
		},
		prove: func(ctx context.Context, r io.Reader) (proof, error) {
			l, err := toolchain.Walk(ctx, r, t.Module.Version, nil)
			return proof{sum: l.Sum, diffID: l.DiffID}, err
		},
	}
}

// piped returns what write writes, as it is read. Closing it ends write.
func piped(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(w, 256<<10)
		w.CloseWithError(cmp.Or(write(b), b.Flush()))
	}()
	return r
}

// framed is a file's content between a head and a tail.
type framed struct {
	head []byte
	body io.ReaderAt
	size int64 // of body
	tail []byte
}

func (f framed) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, os.ErrInvalid
	}
	parts := []struct {
		start, size int64
		read        func([]byte, int64) (int, error)
	}{
		{0, int64(len(f.head)), bytesAt(f.head)},
		{int64(len(f.head)), f.size, f.body.ReadAt},
		{int64(len(f.head)) + f.size, int64(len(f.tail)), bytesAt(f.tail)},
	}
	for _, part := range parts {
		if at := off + int64(n) - part.start; at < part.size && n < len(p) {
			want := min(int64(len(p)-n), part.size-at)
			got, err := part.read(p[n:n+int(want)], at)
			n += got
			if int64(got) < want {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return n, err
			}
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func bytesAt(data []byte) func([]byte, int64) (int, error) {
	return func(p []byte, off int64) (int, error) { return copy(p, data[off:]), nil }
}

// section is a section of something that is closed with it: a reader that can seek and read
// anywhere.
type section struct {
	*io.SectionReader
	close io.Closer // may be nil
}

func sectionCloser(r io.ReaderAt, size int64, c io.Closer) section {
	return section{io.NewSectionReader(r, 0, size), c}
}

func (s section) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close.Close()
}
