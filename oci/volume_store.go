package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// volumes is what is on some or all volumes of a set, as one store. It is read in place, and lacks what is on a volume
// that is not there; [Copy] takes what there is.
type volumes struct {
	list    *volumeList // as each has it
	blobs   map[digest.Digest]*volumeBlob
	mounted []volume
	index   *index
}

type volume struct {
	*layout
	number int
}

// OpenVolumes opens volumes of one set, in any order, as one store. One may be there twice.
func OpenVolumes(ctx context.Context, dirs ...string) (Store, error) {
	s := &volumes{}
	for _, dir := range dirs {
		if err := s.mount(dir); err != nil {
			s.Close()
			return nil, err
		}
	}
	if len(s.mounted) == 0 {
		return nil, mark(ErrNotFound, fmt.Errorf("there are no volumes"))
	}
	return s, ctx.Err()
}

// Mounted says which volumes of how many a store is made of. Of a store that is not of volumes it says none.
func Mounted(s Store) (numbers []int, of int) {
	v, ok := s.(*volumes)
	if !ok {
		return nil, 0
	}
	for _, m := range v.mounted {
		numbers = append(numbers, m.number)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), v.list.Volumes
}

func (s *volumes) mount(dir string) error {
	l, err := openLayout(dir)
	if err != nil {
		return err
	}
	s.mounted = append(s.mounted, volume{layout: l})
	list, err := l.readVolume()
	if errors.Is(err, ErrNotFound) {
		return mark(ErrNotLayout, fmt.Errorf("open %s: not a volume, or one that is not finished: it has no %s", dir, volumeFile))
	}
	if err == nil {
		err = s.check(l, list)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	s.mounted[len(s.mounted)-1].number = list.Volume
	return nil
}

// check holds a volume against the first.
func (s *volumes) check(l *layout, list *volumeList) error {
	if s.list == nil {
		ix, err := l.readIndex()
		if err != nil {
			return err
		}
		if desc, ok, err := ix.lookup(list.Tag); err != nil || !ok || desc.Digest != list.Digest {
			return errors.Join(err, malformed("%s is of %s, and %s has another under the tag %q", volumeFile, list.Digest, indexFile, list.Tag))
		}
		s.list, s.index = list, ix
		s.blobs = make(map[digest.Digest]*volumeBlob, len(list.Blobs))
		for i, b := range list.Blobs {
			s.blobs[b.Digest] = &list.Blobs[i]
		}
		return nil
	}
	first := s.mounted[0]
	switch {
	case sameSpread(s.list, list):
		return nil
	case s.list.Digest != list.Digest:
		return malformed("volume %d of another bundle: %s; volume %d at %s is of %s", list.Volume, list.Digest, s.list.Volume, first.dir, s.list.Digest)
	}
	return malformed("volume %d of %d, of %d bytes: the same bundle was spread in another way than on volume %d of %d, of %d bytes, at %s",
		list.Volume, list.Volumes, list.VolumeSize, s.list.Volume, s.list.Volumes, s.list.VolumeSize, first.dir)
}

// Fetch reads a document from the first volume where it is whole, and anything else from where it is.
func (s *volumes) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	var firstErr error
	for _, v := range s.mounted {
		f, _, err := v.OpenFile(ctx, desc)
		if err == nil && isManifest(desc.MediaType) {
			f.Close()
			var data []byte
			if data, err = fetchBytes(ctx, v.layout, desc); err == nil {
				return inMemoryBlob(data), nil
			}
		}
		if err == nil {
			return f, nil
		}
		if firstErr == nil || errors.Is(firstErr, ErrNotFound) {
			firstErr = err
		}
	}
	if b := s.cut(desc); b != nil {
		return s.openCut(b) // a volume that cannot be looked into says nothing of the parts on others
	}
	return nil, firstErr
}

// cut is the entry of a blob that is in parts, or nil.
func (s *volumes) cut(desc ocispec.Descriptor) *volumeBlob {
	if b := s.blobs[desc.Digest]; b != nil && b.Size == desc.Size && b.Parts != nil {
		return b
	}
	return nil
}

// openPart opens a part of a blob. It is not found if its volume is not there.
func (s *volumes) openPart(b *volumeBlob, i int) (*os.File, error) {
	err := notIn(s.place(), b.Digest)
	for _, v := range s.mounted {
		if v.number != b.Parts[i].Volume {
			continue
		}
		var f *os.File
		var info os.FileInfo
		if f, info, err = v.open(partPath(b.Digest, i)); err != nil {
			continue
		}
		if info.Size() == b.Parts[i].Size {
			return f, nil
		}
		f.Close()
		err = malformed("%s: %s has %d bytes, not %d", v.dir, partPath(b.Digest, i), info.Size(), b.Parts[i].Size)
	}
	return nil, err
}

// cutReader reads a blob out of its parts.
type cutReader struct {
	*io.SectionReader
	parts []*os.File
	ends  []int64
}

func (s *volumes) openCut(b *volumeBlob) (io.ReadCloser, error) {
	r := &cutReader{}
	var end int64
	for i, p := range b.Parts {
		f, err := s.openPart(b, i)
		if err != nil {
			r.Close()
			return nil, err
		}
		end += p.Size
		r.parts, r.ends = append(r.parts, f), append(r.ends, end)
	}
	r.SectionReader = io.NewSectionReader(cutParts{r}, 0, b.Size)
	return r, nil
}

func (r *cutReader) Close() error {
	for _, f := range r.parts {
		f.Close()
	}
	return nil
}

// cutParts is the [io.ReaderAt] that a cutReader is a section of.
type cutParts struct{ *cutReader }

func (r cutParts) ReadAt(p []byte, off int64) (n int, err error) {
	var start int64
	for i, f := range r.parts {
		for off < r.ends[i] && n < len(p) {
			read, err := f.ReadAt(p[n:min(int64(len(p)), int64(n)+r.ends[i]-off)], off-start)
			n, off = n+read, off+int64(read)
			if err != nil && err != io.EOF || read == 0 {
				return n, err
			}
		}
		start = r.ends[i]
	}
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (s *volumes) blobSize(d digest.Digest) (int64, error) {
	for _, v := range s.mounted {
		if size, err := v.blobSize(d); err == nil {
			return size, nil
		}
	}
	b := s.blobs[d]
	if b == nil || b.Parts == nil {
		return 0, notIn(s.place(), d)
	}
	rc, err := s.openCut(b)
	if err != nil {
		return 0, err
	}
	return b.Size, rc.Close()
}

func (s *volumes) place() string { return s.mounted[0].dir }

// Exists hashes the blob each time.
func (s *volumes) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	rc, err := s.Fetch(ctx, desc)
	if err == nil {
		_, err = copyBlob(ctx, io.Discard, rc, desc)
		rc.Close()
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDigest) {
		return false, nil
	}
	return err == nil, err
}

func (s *volumes) Resolve(ctx context.Context, target string) (ocispec.Descriptor, error) {
	return s.index.resolve(ctx, s, target)
}

func (s *volumes) Predecessors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	return s.index.predecessors(ctx, s, desc)
}

func (s *volumes) Tags(context.Context) iter.Seq2[string, error] { return s.index.tags() }

func (s *volumes) Push(context.Context, ocispec.Descriptor, io.Reader) error {
	return errVolume(s.place())
}

func (s *volumes) Tag(context.Context, ocispec.Descriptor, string) error { return errVolume(s.place()) }

// errVolume is what a volume says to who would change it: the others would not fit to it.
func errVolume(dir string) error {
	return mark(ErrNotLayout, fmt.Errorf("%s: a volume is not changed: %w", dir, errors.ErrUnsupported))
}

func (s *volumes) Close() error {
	var all []error
	for _, v := range s.mounted {
		all = append(all, v.Close())
	}
	return errors.Join(all...)
}
