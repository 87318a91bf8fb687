package bundle

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle/gomod"
)

const (
	maxTool     = 1 << 30   // bytes of the largest executable that is read
	maxInfoRead = 128 << 20 // bytes of it that are read, some of them into memory, to find what it says of itself
)

// A toolContent is what a tool's layer holds: an executable, and what that says of itself.
type toolContent struct {
	info   *debug.BuildInfo
	diffID digest.Digest
}

// writeTool writes the layer of a tool.
func writeTool(ctx context.Context, w io.Writer, file string, size int64, executable io.Reader) error {
	head, tail, err := toolTar(file, size)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(w)
	if n, err := copyAll(ctx, z, io.MultiReader(bytes.NewReader(head), io.LimitReader(executable, size), bytes.NewReader(tail))); err != nil {
		return err
	} else if n != int64(len(head)+len(tail))+size {
		return fmt.Errorf("%s changed its size while it was packed", file)
	}
	return z.Close()
}

// readToolLayer reads the layer of a tool, compressed, from r; the executable goes to to.
func readToolLayer(ctx context.Context, r io.Reader, pkg string, p gomod.Platform, to place) (toolContent, error) {
	file, err := toolFile(pkg, p)
	if err != nil {
		return toolContent{}, err
	}
	compressed := bufio.NewReaderSize(r, 64<<10)
	z, err := gzip.NewReader(compressed)
	if err != nil {
		return toolContent{}, fmt.Errorf("tool layer: %w", err)
	}
	z.Multistream(false)
	diff := sha256.New()
	size, err := readToolTar(ctx, io.TeeReader(z, diff), file, to)
	if err != nil {
		return toolContent{}, err
	}
	if _, err := compressed.Peek(1); err != io.EOF {
		return toolContent{}, errors.New("tool layer: there is something behind it")
	}
	info, err := readInfo(io.NewSectionReader(to, 0, size))
	if err != nil {
		return toolContent{}, fmt.Errorf("tool layer: %s: %w", file, err)
	}
	return toolContent{info, digest.NewDigest(digest.SHA256, diff)}, nil
}

// readInfo reads what an executable says of itself.
func readInfo(executable io.ReaderAt) (*debug.BuildInfo, error) {
	return buildinfo.Read(&infoReader{executable, maxInfoRead})
}

// An infoReader fails when more was read than somebody needs who is told the truth by what he reads.
type infoReader struct {
	io.ReaderAt
	left int64
}

func (b *infoReader) ReadAt(p []byte, off int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errors.New("what it says of itself is too long")
	}
	return b.ReaderAt.ReadAt(p, off)
}

// readToolTar reads the tar of a tool's layer, which has one form for each executable.
func readToolTar(ctx context.Context, r io.Reader, file string, to io.Writer) (size int64, err error) {
	size, err = readToolHead(r, file)
	if err != nil {
		return 0, err
	}
	if n, err := copyAll(ctx, to, io.LimitReader(r, size)); err != nil {
		return 0, err
	} else if n != size {
		return 0, io.ErrUnexpectedEOF
	}
	_, want, err := toolTar(file, size)
	if err != nil {
		return 0, err
	}
	tail, err := io.ReadAll(io.LimitReader(r, int64(len(want)+1)))
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(tail, want) {
		return 0, errors.New("tool layer: it is not in the form that goferry writes")
	}
	return size, nil
}

// readToolHead reads the header of the executable, and returns its size.
func readToolHead(r io.Reader, file string) (int64, error) {
	empty, _, err := toolTar(file, 0)
	if err != nil {
		return 0, err
	}
	head := make([]byte, len(empty))
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, fmt.Errorf("tool layer: %w", err)
	}
	h, err := tar.NewReader(bytes.NewReader(head)).Next()
	if err != nil {
		return 0, fmt.Errorf("tool layer: %w", err)
	}
	if h.Size < 0 || h.Size > maxTool {
		return 0, fmt.Errorf("tool layer: %s has %d bytes, more than %d", file, h.Size, maxTool)
	}
	if want, _, err := toolTar(file, h.Size); err != nil || !bytes.Equal(head, want) {
		return 0, fmt.Errorf("tool layer: it is not that of %s", file)
	}
	return h.Size, nil
}

// readTool reads a tool's layer and proves that it is the blob that the descriptor says, and holds the one
// executable of that name; what that says of itself is for checkTools. The executable goes to to, or if that is nil
// to a temporary file.
func (v *Verified) readTool(ctx context.Context, l proofLayer, to place) (toolContent, error) {
	pkg, _, _ := layerTool(l.desc)
	b, err := v.openBlob(ctx, l.desc)
	if err != nil {
		return toolContent{}, err
	}
	defer b.Close()
	if to == nil {
		s, err := newSpool(l.desc.Size)
		if err != nil {
			return toolContent{}, err
		}
		defer s.Close()
		to = s
	}
	c, err := readToolLayer(ctx, b, pkg, l.platform, visitPlace{to})
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, errVisit) {
			return c, err
		}
		return c, b.blame(ctx, err)
	}
	if err := b.finish(ctx); err != nil {
		return c, err
	}
	if l.diffID != "" && c.diffID != l.diffID {
		return c, fmt.Errorf("%w: the layer's diff_id is %s, the config says %s", ErrMismatch, c.diffID, l.diffID)
	}
	return c, nil
}

// visitPlace is a place whose writing errors are marked as those of visitWriter.
type visitPlace struct{ place }

func (v visitPlace) Write(p []byte) (int, error) { return visitWriter{v.place}.Write(p) }

// checkTools holds the tools that were read, by the digest of their layer, against the record.
func (v *Verified) checkTools(r *Record, tools map[digest.Digest]toolContent) (errs []error) {
	sums := r.toolSums()
	for _, p := range v.Platforms {
		said := make(map[string]RecordTool)
		for _, t := range r.toolsFor(p.Platform) {
			said[t.String()] = t
		}
		for _, l := range p.Layers {
			if layerKind(l) != kindTool {
				continue
			}
			c, ok := tools[l.Digest]
			if !ok {
				continue // its layer has a problem of its own, or is none that is unpacked
			}
			if err := said[l.Annotations[AnnotationTool]].checkInfo(c.info, sums); err != nil {
				errs = append(errs, fmt.Errorf("%s for %s: %w", layerName(l), p, err))
			}
		}
	}
	return errs
}

// checkToolLayer holds the descriptor of a tool's layer against the record.
func (r *Record) checkToolLayer(l ocispec.Descriptor, p Platform) error {
	sums := r.toolSums()
	for _, t := range r.toolsFor(p.Platform) {
		if t.String() == l.Annotations[AnnotationTool] && sums[t.Module+"@"+t.Version] == l.Annotations[AnnotationSum] {
			return nil
		}
	}
	return fmt.Errorf("layer %s of %s is not what the bundle's record says", layerName(l), p)
}
