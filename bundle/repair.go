package bundle

import (
	"context"
	"errors"
	"fmt"

	"github.com/goferry/goferry/oci"
)

// Repaired is what Repair found and did.
type Repaired struct {
	Blobs   int       `json:"blobs"` // that were read, each counted once
	Bytes   int64     `json:"bytes"`
	Fetched int64     `json:"fetched"`          // bytes of what was mended
	Mended  []Problem `json:"mended,omitempty"` // with what was wrong
	Lost    []Problem `json:"lost,omitempty"`   // what no source has whole
	Left    int       `json:"left,omitempty"`   // blobs that are not there because a delta leaves them out
}

// Repair is [oci.Repair] with the names of modules. What is lost is [ErrIncomplete].
func Repair(ctx context.Context, dst oci.Store, from []oci.Store, dryRun bool, progress func(Event)) (*Repaired, error) {
	report := reporter(progress)
	did, err := oci.Repair(ctx, dst, from, oci.RepairOptions{
		DryRun:  dryRun,
		OnBytes: func(n int64) { report(Event{Stage: "repair", Bytes: n}) },
	})
	r := &Repaired{Blobs: did.Blobs, Bytes: did.Bytes, Mended: problems(did.Mended), Lost: problems(did.Lost), Left: len(did.Left)}
	for _, d := range did.Mended {
		r.Fetched += d.Descriptor.Size
	}
	if len(r.Lost) == 0 {
		return r, err
	}
	var errs []error
	for _, d := range did.Lost {
		errs = append(errs, fmt.Errorf("%s: %w: whole in no source; here: %v", BlobName(d.Descriptor), ErrIncomplete, d.Err))
	}
	return r, errors.Join(append(errs, did.Away...)...)
}
