package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A VolumesError is a copy from volumes that is not complete yet. What was right on those that were there has arrived,
// and nothing is tagged. It is [ErrDigest] if anything is damaged, and [ErrNotFound].
type VolumesError struct {
	Digest  digest.Digest // of what is copied
	Volumes int           // of the set
	Missing []VolumeBlobs
	Damaged []VolumeBlobs

	// Together are volumes with the parts of a blob that the destination takes only whole, in one copy. A layout keeps
	// parts.
	Together []int
}

// VolumeBlobs are blobs, whole or in part on one volume.
type VolumeBlobs struct {
	Volume int    // 0 if no volume has them
	Dir    string // where the volume is; "" if it was not there
	Bytes  int64  // of what is on it of the blobs
	Blobs  []ocispec.Descriptor
}

func (e *VolumesError) Error() string {
	var said []string
	for _, v := range e.Damaged {
		said = append(said, fmt.Sprintf("%s has %d damaged blobs (%s, …)", e.name(v), len(v.Blobs), v.Blobs[0].Digest))
	}
	for _, v := range e.Missing {
		said = append(said, fmt.Sprintf("%d blobs are missing, on %s", len(v.Blobs), e.name(v)))
	}
	return strings.Join(said, "; ")
}

func (e *VolumesError) name(v VolumeBlobs) string {
	return fmt.Sprintf("volume %d of %d", v.Volume, e.Volumes)
}

func (e *VolumesError) Unwrap() []error {
	if len(e.Damaged) > 0 {
		return []error{ErrDigest, ErrNotFound}
	}
	return []error{ErrNotFound}
}

// miss adds a blob to those that are missing, with the volumes that have it.
func (e *VolumesError) miss(s *volumes, desc ocispec.Descriptor) {
	b := s.blobs[desc.Digest]
	if b == nil || b.Size != desc.Size { // then volume.json knows nothing of it, or lies
		b = &volumeBlob{}
	}
	if b.Parts == nil {
		add(&e.Missing, s, b.Volume, desc, desc.Size)
	}
	for i := range b.Parts {
		if f, err := s.openPart(b, i); err == nil {
			f.Close()
		} else {
			add(&e.Missing, s, b.Parts[i].Volume, desc, b.Parts[i].Size)
		}
	}
}

// join adds the volumes of a blob that cannot wait for some of them.
func (e *VolumesError) join(b *volumeBlob) {
	if b == nil {
		return
	}
	for _, p := range b.Parts {
		e.Together = append(e.Together, p.Volume)
	}
	slices.Sort(e.Together)
	e.Together = slices.Compact(e.Together)
}

// damage adds a blob to those that are damaged, with the volumes on which it is.
func (e *VolumesError) damage(ctx context.Context, s *volumes, desc ocispec.Descriptor) error {
	b := s.cut(desc)
	if b == nil {
		for _, v := range s.mounted {
			if _, err := v.layout.blobSize(desc.Digest); !errors.Is(err, ErrNotFound) {
				add(&e.Damaged, s, v.number, desc, desc.Size)
			}
		}
		return nil
	}
	found := false
	for i, p := range b.Parts {
		f, err := s.openPart(b, i)
		if err == nil {
			_, err = copyBlob(ctx, io.Discard, f, ocispec.Descriptor{Digest: p.Digest, Size: p.Size})
			f.Close()
		}
		if errors.Is(err, ErrDigest) {
			add(&e.Damaged, s, p.Volume, desc, p.Size)
			found = true
		}
	}
	if !found { // each part is as volume.json says, and the blob is another
		add(&e.Damaged, s, b.Parts[0].Volume, desc, desc.Size)
	}
	return ctx.Err()
}

// add adds a blob to those of a volume in the list.
func add(list *[]VolumeBlobs, s *volumes, number int, desc ocispec.Descriptor, bytes int64) {
	i := slices.IndexFunc(*list, func(v VolumeBlobs) bool { return v.Volume == number })
	if i < 0 {
		i = len(*list)
		*list = append(*list, VolumeBlobs{Volume: number})
		for _, v := range s.mounted {
			if v.number == number {
				(*list)[i].Dir = v.dir
			}
		}
	}
	v := &(*list)[i]
	v.Bytes += bytes
	if !slices.ContainsFunc(v.Blobs, sameDigest(desc)) {
		v.Blobs = append(v.Blobs, desc)
	}
}

// sorted makes the same of the same problems, whatever the order in which they were found.
func (e *VolumesError) sorted() error {
	for _, list := range [][]VolumeBlobs{e.Missing, e.Damaged} {
		slices.SortFunc(list, func(a, b VolumeBlobs) int { return a.Volume - b.Volume })
		for _, v := range list {
			sortDescriptors(v.Blobs)
		}
	}
	return e
}
