package bundle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/oci"
)

// MediaTypeReceipt is the form of a receipt.
const MediaTypeReceipt = "application/vnd.goferry.receipt.v1+json"

// MaxReceipt is the largest receipt that is read, in bytes: one of 100,000 blobs.
const MaxReceipt = 16 << 20

// A Receipt says what one side has, so that the other side sends only the rest. It is a list of what arrived, not of
// what was sent. Nobody signs it: one that says too much makes a delta that lacks something, which is found where the
// delta arrives; see [oci.MissingError].
type Receipt struct {
	MediaType string                  `json:"mediaType"`
	Bundles   []ReceiptBundle         `json:"bundles"` // that are there whole
	Blobs     map[digest.Digest]int64 `json:"blobs"`   // sizes; documents are among them
}

// A ReceiptBundle is a bundle that is at a place.
type ReceiptBundle struct {
	Digest   digest.Digest `json:"digest"` // of the index
	Name     string        `json:"name,omitempty"`
	Tag      string        `json:"tag,omitempty"`
	Sequence uint64        `json:"sequence,omitempty"` // that its signature claims; 0: nobody asked for one
}

// ParseReceipt reads a receipt. What is not one is [ErrMismatch].
func ParseReceipt(data []byte) (*Receipt, error) {
	r := new(Receipt)
	if err := r.parse(data); err != nil {
		return nil, fmt.Errorf("%w: receipt: %w", ErrMismatch, err)
	}
	return r, nil
}

func (r *Receipt) parse(data []byte) error {
	if len(data) > MaxReceipt {
		return fmt.Errorf("more than %d bytes", MaxReceipt)
	}
	if err := oci.DecodeStrict(data, r); err != nil {
		return err
	}
	if r.MediaType != MediaTypeReceipt {
		return fmt.Errorf("media type is %q, not %q", r.MediaType, MediaTypeReceipt)
	}
	for _, b := range r.Bundles {
		if b.Digest.Validate() != nil || b.Digest.Algorithm() != digest.SHA256 {
			return fmt.Errorf("malformed digest %q", b.Digest)
		}
	}
	for d, size := range r.Blobs {
		if d.Validate() != nil || d.Algorithm() != digest.SHA256 || size < 0 {
			return fmt.Errorf("malformed blob %q of %d bytes", d, size)
		}
	}
	return nil
}

// Encode writes the receipt: the same for the same blobs and bundles. What [ParseReceipt] would not take is an error.
func (r *Receipt) Encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if err := new(Receipt).parse(data); err != nil {
		return nil, fmt.Errorf("receipt of %d bundles, %d blobs: more than is read again, take one of fewer bundles: %w", len(r.Bundles), len(r.Blobs), err)
	}
	return append(data, '\n'), nil
}

// AddTo adds to a base what the receipt says is there.
func (r *Receipt) AddTo(base *oci.Base) {
	for _, b := range r.Bundles {
		base.Roots = append(base.Roots, b.Digest)
	}
	for d, size := range r.Blobs {
		base.Blobs[d] = size
	}
}

func newReceipt() *Receipt {
	return &Receipt{MediaType: MediaTypeReceipt, Bundles: []ReceiptBundle{}, Blobs: make(map[digest.Digest]int64)}
}

func (r *Receipt) sort() {
	slices.SortFunc(r.Bundles, func(a, b ReceiptBundle) int {
		return cmp.Or(cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Digest, b.Digest))
	})
	r.Bundles = slices.Compact(r.Bundles)
}
