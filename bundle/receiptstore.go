package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/oci"
)

// ReceiptOptions says how a receipt is made.
type ReceiptOptions struct {
	Trust    *Trust       // nil: nothing is asked of signatures, and no sequence is known
	Warn     func(string) // nil: not told; one line each
	Progress func(Event)  // nil: not told
}

// TakeReceipt lists what s has of the targets. Every blob of a layout or an archive is hashed for that; a registry is
// asked for each. What is damaged is not there: it is warned of, as is a target that lacks something.
func TakeReceipt(ctx context.Context, s oci.Store, targets []string, opts ReceiptOptions) (*Receipt, error) {
	t := &receiptTaker{Receipt: newReceipt(), store: s, opts: opts, report: reporter(opts.Progress)}
	if opts.Warn == nil {
		t.opts.Warn = func(string) {}
	}
	for _, target := range targets {
		err := t.take(ctx, target)
		damaged := errors.Is(err, oci.ErrNotFound) || errors.Is(err, oci.ErrDigest)
		if damaged && len(targets) > 1 {
			t.opts.Warn(fmt.Sprintf("%s is left out: %v", target, err))
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	t.sort()
	return t.Receipt, nil
}

type receiptTaker struct {
	*Receipt
	store  oci.Store
	opts   ReceiptOptions
	report func(Event)

	mu sync.Mutex // of the Blobs
}

func (t *receiptTaker) take(ctx context.Context, target string) error {
	desc, err := t.store.Resolve(ctx, target)
	if err != nil {
		return err
	}
	var believed Decision
	if t.opts.Trust != nil {
		if believed, err = t.opts.Trust.check(ctx, t.store, desc, target); err != nil {
			return err
		}
	}
	g, err := oci.Walk(ctx, t.store, desc)
	if err != nil {
		return err
	}
	all := g.Blobs
	b := ReceiptBundle{Digest: desc.Digest, Tag: target}
	if target == desc.Digest.String() {
		b.Tag = ""
	}
	for _, n := range g.Documents {
		all = append(all, n.Descriptor)
		if n.Descriptor.Digest == desc.Digest {
			b.Name = title(n.Data)
		}
	}
	b.Sequence = sequences(believed.Signatures)[b.Name]
	lacking, err := t.look(ctx, all)
	if err != nil {
		return err
	}
	if lacking > 0 {
		t.opts.Warn(fmt.Sprintf("%s lacks %d of its %d blobs", target, lacking, len(all)))
		return nil
	}
	t.Bundles = append(t.Bundles, b)
	return nil
}

// look adds those of the blobs that are there.
func (t *receiptTaker) look(ctx context.Context, blobs []ocispec.Descriptor) (lacking int, err error) {
	start := Event{Stage: "receipt", TotalItems: len(blobs)}
	for _, desc := range blobs {
		start.TotalBytes += desc.Size
	}
	t.report(start)
	err = parallel(ctx, runtime.GOMAXPROCS(0), blobs, func(ctx context.Context, desc ocispec.Descriptor) error {
		ok, err := t.store.Exists(ctx, desc)
		if err != nil {
			return err
		}
		t.report(Event{Stage: "receipt", Items: 1, Bytes: desc.Size})
		t.mu.Lock()
		defer t.mu.Unlock()
		if ok {
			t.Blobs[desc.Digest] = desc.Size
		} else {
			lacking++
		}
		return nil
	})
	return lacking, err
}

// title is what a document calls itself.
func title(document []byte) string {
	var d struct {
		Annotations map[string]string `json:"annotations"`
	}
	if json.Unmarshal(document, &d) != nil {
		return ""
	}
	return d.Annotations[ocispec.AnnotationTitle]
}

// AddNamed adds to a base what target and all that belongs to it name. Whether the store has it all does not matter:
// the base is another place, which got it from there.
func AddNamed(ctx context.Context, base *oci.Base, s oci.Store, target string) error {
	desc, err := s.Resolve(ctx, target)
	if err != nil {
		return err
	}
	g, err := oci.Walk(ctx, s, desc)
	if err != nil {
		return err
	}
	base.Roots = append(base.Roots, desc.Digest)
	for _, blob := range g.Blobs {
		base.Blobs[blob.Digest] = blob.Size
	}
	return nil
}
