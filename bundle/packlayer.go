package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// ingest writes a layer to a store that learns the digest from the bytes, so that they are
// read, hashed and written once; what is proven is what was written.
func (p *packer) ingest(ctx context.Context, dst oci.Ingester, s source) (layer, error) {
	r, err := s.open(ctx)
	if err != nil {
		return layer{}, err
	}
	defer r.Close()
	w, err := dst.Ingest(ctx)
	if err != nil {
		return layer{}, err
	}
	defer w.Discard()
	to, own := s.hashOwn(w)
	n, err := copyAll(ctx, to, r)
	if err != nil {
		return layer{}, err
	}
	made, err := p.proveAll(ctx, s, own(w.Digest()), func(_ source, offset int64) func(context.Context) (io.ReadCloser, error) {
		return func(context.Context) (io.ReadCloser, error) {
			return section{io.NewSectionReader(w, offset, n-offset), nil}, nil
		}
	})
	if err != nil {
		return layer{}, err
	}
	desc, err := w.Commit(s.mediaType)
	if err != nil {
		return layer{}, err
	}
	atomic.AddInt64(&p.bytes, desc.Size)
	return p.layer(s, desc, made), nil
}

// measure learns a layer's digest without writing it anywhere, for stores that must be told
// the digest first.
func (p *packer) measure(ctx context.Context, s source) (layer, error) {
	r, err := s.open(ctx)
	if err != nil {
		return layer{}, err
	}
	defer r.Close()
	digester := digest.Canonical.Digester()
	to, own := s.hashOwn(digester.Hash())
	n, err := copyAll(ctx, to, r)
	if err != nil {
		return layer{}, err
	}
	made, err := p.proveAll(ctx, s, own(digester.Digest()), func(m source, _ int64) func(context.Context) (io.ReadCloser, error) { return m.open })
	if err != nil {
		return layer{}, err
	}
	return p.layer(s, ocispec.Descriptor{MediaType: s.mediaType, Digest: digester.Digest(), Size: n}, made), nil
}

// A madeLayer is the own layer of a module, toolchain or tool, with what was proven of it.
type madeLayer struct {
	digest digest.Digest
	proof
}

// proveAll proves what a source is made of; digests are those of its own layers. again opens one of them, of a group at
// its offset there.
func (p *packer) proveAll(ctx context.Context, s source, digests []digest.Digest, again func(source, int64) func(context.Context) (io.ReadCloser, error)) ([]madeLayer, error) {
	var made []madeLayer
	offset := int64(0)
	for i, m := range s.own() {
		proven, err := p.prove(ctx, m, digests[i], again(m, offset))
		if err != nil && s.modules != nil {
			err = fmt.Errorf("%s: %w", m.name, err)
		}
		if err != nil {
			p.forget(m, err)
			return nil, err
		}
		made = append(made, madeLayer{digests[i], proven})
		offset += m.size - tarEnd
	}
	return made, nil
}

// prove returns the sum of a layer's content, from memory if these very bytes were proven
// before, and holds it against go.sum and the checksum database.
func (p *packer) prove(ctx context.Context, s source, d digest.Digest, open func(context.Context) (io.ReadCloser, error)) (proof, error) {
	if s.prove == nil {
		return proof{}, nil
	}
	proven, ok := p.proofs.get(d, s.name)
	if !ok {
		r, err := open(ctx)
		if err != nil {
			return proof{}, err
		}
		defer r.Close()
		if proven, err = s.prove(ctx, r); err != nil {
			if ctx.Err() == nil {
				err = fmt.Errorf("%w: %w", ErrMismatch, err)
			}
			return proof{}, err
		}
		if s.tool != "" {
			return proven, nil // what it was built of is checked on its own
		}
		p.proofs.put(d, s.name, proven)
	}
	w, err := p.want(ctx, s.name)
	if err != nil {
		return proof{}, err
	}
	return proven, p.expected[s.name].explain(w.zip.check("zip", proven.sum))
}

// forget removes a zip that is not what it has to be from our own cache, so that it is fetched
// again. The user's cache is his.
func (p *packer) forget(s source, err error) {
	if p.opts.CacheDir != "" && errors.Is(err, ErrMismatch) && strings.HasPrefix(s.zip, p.opts.CacheDir+string(filepath.Separator)) {
		os.Remove(s.zip)
	}
}

// layer completes the descriptor of a layer.
func (p *packer) layer(s source, desc ocispec.Descriptor, made []madeLayer) layer {
	if s.modules == nil {
		desc.Annotations = p.annotations(s, made[0].sum)
		return layer{desc: desc, diffID: made[0].diffID}
	}
	var modules []ocispec.Descriptor
	for i, m := range s.modules {
		modules = append(modules, ocispec.Descriptor{Digest: made[i].digest, Size: m.size, Annotations: p.annotations(m, made[i].sum)})
	}
	desc.Annotations = map[string]string{AnnotationGroup: groupAnnotation(modules)}
	return layer{desc: desc}
}

// annotations says what a layer is that is no group.
func (p *packer) annotations(s source, sum string) map[string]string {
	if s.prove == nil {
		return map[string]string{AnnotationLayer: s.name}
	}
	if s.tool != "" {
		return map[string]string{AnnotationTool: s.tool, AnnotationSum: sum}
	}
	a := map[string]string{AnnotationModule: s.name, AnnotationSum: sum}
	if !p.expected[s.name].inSumDB { // known, as prove has waited for it
		a[AnnotationSumDB] = sumDBNone
	}
	return a
}
