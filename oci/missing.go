package oci

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// A MissingError is a copy that cannot be complete, which was seen before anything was written. It is [ErrNotFound].
type MissingError struct {
	// Blobs are neither at the source nor at the destination. They have the annotations of the manifest that names them.
	Blobs []ocispec.Descriptor
}

func (e *MissingError) Error() string {
	const most = 3
	var some []string
	for _, desc := range e.Blobs[:min(most, len(e.Blobs))] {
		some = append(some, desc.Digest.String())
	}
	if len(e.Blobs) > most {
		some = append(some, "…")
	}
	return fmt.Sprintf("%d blobs are neither at the source nor at the destination (%s)", len(e.Blobs), strings.Join(some, ", "))
}

func (e *MissingError) Unwrap() error { return ErrNotFound }

// Lacking returns those of the named blobs that a layout or an archive does not have: the specification lets it lack some.
// It looks for their names and reads nothing. A registry is not asked: it lacks none as far as it says.
func Lacking(s Store, named []ocispec.Descriptor) (lacking []ocispec.Descriptor) {
	local, ok := s.(blobs)
	if !ok {
		return nil
	}
	for _, desc := range named {
		if _, err := local.blobSize(desc.Digest); errors.Is(err, ErrNotFound) {
			lacking = append(lacking, desc)
		}
	}
	return lacking
}

// existing returns the digests of those blobs that s has. Up to limit are looked for at once.
func existing(ctx context.Context, s Store, blobs []ocispec.Descriptor, limit int) (map[digest.Digest]bool, error) {
	var mu sync.Mutex
	found := make(map[digest.Digest]bool)
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for _, desc := range blobs {
		if groupCtx.Err() != nil {
			break
		}
		g.Go(func() error {
			ok, err := s.Exists(groupCtx, desc)
			if ok && err == nil {
				mu.Lock()
				defer mu.Unlock()
				found[desc.Digest] = true
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return found, ctx.Err()
}

// findLacking looks at the destination for what the source lacks. If that is not all there the copy must not begin.
func (c *copier) findLacking(ctx context.Context) (err error) {
	if len(c.lacking) == 0 {
		return nil
	}
	c.there, err = existing(ctx, c.dst, c.lacking, c.concurrency())
	if err != nil {
		return err
	}
	return missing(c.lacking, c.there)
}

// missing is a MissingError for those blobs that are not there, if any.
func missing(blobs []ocispec.Descriptor, there map[digest.Digest]bool) error {
	var e MissingError
	for _, desc := range blobs {
		if !there[desc.Digest] {
			e.Blobs = append(e.Blobs, desc)
		}
	}
	if len(e.Blobs) == 0 {
		return nil
	}
	return &e
}
