package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// nameMissing names the modules whose blobs are neither at the job's first place nor at its last.
func (j *job) nameMissing(err error) error {
	var missing *oci.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	src, dst := j.places[0], j.places[len(j.places)-1]
	return withHint(fmt.Errorf("copy %s: %w: neither it nor %s has %s", src.text, bundle.ErrIncomplete, dst.text, blobNames(missing.Blobs)),
		"a delta goes where what it builds on is: copy that there first, or copy the whole bundle")
}

// blobNames says how many blobs there are, how large they are, and what the first few are.
func blobNames(blobs []ocispec.Descriptor) string {
	const most = 5
	var bytes int64
	var names []string
	for _, desc := range blobs {
		bytes += desc.Size
		names = append(names, itemName(desc))
	}
	slices.Sort(names)
	if n := len(names) - most; n > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", n))
	}
	return fmt.Sprintf("%s (%s): %s", count(len(blobs), "blob"), size(bytes), strings.Join(names, ", "))
}

// count is "1 blob" or "2 blobs".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
