package toolchain

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Walk reads a layer from r, which yields the compressed bytes, and calls visit, which may be
// nil, for each file in order. It returns the layer's DiffID and sum if the tar and the members'
// headers and trailers are such as [Transcode] writes; whether they are the right ones is for the
// caller to compare.
//
// content is valid until visit returns; what visit does not read is read all the same.
// What visit saw is proven only when Walk has returned without an error. An error of visit
// is returned as it is. Walk waits for a Read of r that has begun, also when ctx ends.
func Walk(ctx context.Context, r io.Reader, version string, visit func(f File, content io.Reader) error) (Layer, error) {
	if _, _, _, err := ParseVersion(version); err != nil {
		return Layer{}, err
	}
	if visit == nil {
		visit = func(File, io.Reader) error { return nil }
	}
	inner, cancel := context.WithCancel(ctx)
	s := newStream(inner, r)
	defer s.wg.Wait()
	defer cancel()

	diff := sha256.New()
	var sums sums
	err := walk(io.TeeReader(s, diff), visit, &sums)
	if err := ctx.Err(); err != nil {
		return Layer{}, err
	}
	if err != nil {
		return Layer{}, err
	}
	return Layer{digest.NewDigest(digest.SHA256, diff), sums.sum(version)}, nil
}

// walk visits the files of the tar and sums them.
func walk(r io.Reader, visit func(File, io.Reader) error, sums *sums) error {
	t := newTarReader(r)
	h := sha256.New()
	for {
		f, err := t.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("toolchain layer: %w", err)
		}
		h.Reset()
		content := io.TeeReader(&exactReader{r, f.Size}, h)
		if err := visit(f.File, content); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return fmt.Errorf("toolchain layer: %s: %w", f.Name, err)
		}
		sums.add(f.zipName, [sha256.Size]byte(h.Sum(nil)))
	}
}

// sums are the sums of the files of a module zip, by their names in it.
type sums []fileSum

type fileSum struct {
	name string
	sum  [sha256.Size]byte
}

func (s *sums) add(name string, sum [sha256.Size]byte) { *s = append(*s, fileSum{name, sum}) }

// sum returns the module's sum as dirhash.Hash1 makes it, which would read the files itself.
func (s sums) sum(version string) string {
	slices.SortFunc(s, func(a, b fileSum) int { return cmp.Compare(a.name, b.name) })
	h := sha256.New()
	for _, f := range s {
		fmt.Fprintf(h, "%x  %s%s\n", f.sum, zipPrefix(version), f.name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
