package oci

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// signedVersions is a layout with v1 and v2, which has a layer more and is signed, and v1's base.
func signedVersions(t *testing.T) (s Store, v2 ocispec.Descriptor, base *Base) {
	t.Helper()
	s = mustCreate(t, t.TempDir())
	t.Cleanup(func() { s.Close() })
	v1 := pushModules(t, s, moduleNames(0, 10)...)
	mustTag(t, s, v1, "v1")
	v2 = pushModules(t, s, moduleNames(0, 11)...)
	pushReferrer(t, s, v2, "a signature")
	mustTag(t, s, v2, "v2")
	base = &Base{Roots: []digest.Digest{v1.Digest}, Blobs: map[digest.Digest]int64{}}
	for _, desc := range append(mustDo(Walk(t.Context(), s, v1)).Blobs, mustDo(Walk(t.Context(), s, v2)).Blobs[0]) {
		base.Blobs[desc.Digest] = desc.Size
	}
	return s, v2, base
}

func TestDelta(t *testing.T) {
	dir := t.TempDir()
	for name, ref := range map[string]Reference{
		"layout":  {Transport: TransportLayout, Path: filepath.Join(dir, "delta")},
		"archive": {Transport: TransportArchive, Path: filepath.Join(dir, "delta.tar")},
	} {
		t.Run(name, func(t *testing.T) {
			src, v2, base := signedVersions(t)
			for _, desc := range mustDo(Walk(t.Context(), src, v2)).Blobs {
				if strings.HasSuffix(desc.MediaType, "json") || desc.MediaType == "application/vnd.test" {
					base.Blobs[desc.Digest] = desc.Size // must not be left out for that
				}
			}
			dst := mustDo(Create(t.Context(), ref, Options{}))
			mustDo(Copy(t.Context(), src, "v2", dst, "v2", CopyOptions{Base: base}))
			mustClose(t, dst)
			delta := mustDo(Open(t.Context(), ref, Options{}))
			defer delta.Close()
			g := mustDo(Walk(t.Context(), delta, v2))
			lacking := Lacking(delta, g.Blobs)
			if len(g.Documents) != 4 || len(g.Blobs) != 16 || len(lacking) != 10 {
				t.Errorf("the delta has %d documents and lacks %d blobs of %d, want 4 and 10 of 16", len(g.Documents), len(lacking), len(g.Blobs))
			}
			for _, target := range []string{"v2", "", string(v2.Digest)} {
				d := mustDo(FindDelta(t.Context(), delta, target))
				if d == nil || !slices.Equal(d.Base, base.Roots) || d.Blobs != 10 || d.Bytes == 0 {
					t.Errorf("FindDelta(%q) = %+v", target, d)
				}
			}
			whole := mustCreate(t, src.(*layout).dir)
			defer whole.Close()
			if d := mustDo(FindDelta(t.Context(), whole, "v2")); d != nil {
				t.Errorf("FindDelta() of a whole layout = %+v", d)
			}
		})
	}
}

// TestDeltaOfDelta holds that what is left out of a delta has to be in the base of the next one too.
func TestDeltaOfDelta(t *testing.T) {
	src, _, base := signedVersions(t)
	first := mustCreate(t, t.TempDir())
	defer first.Close()
	mustDo(Copy(t.Context(), src, "v2", first, "v2", CopyOptions{Base: base}))

	second := mustCreate(t, t.TempDir())
	defer second.Close()
	mustDo(Copy(t.Context(), first, "v2", second, "v2", CopyOptions{Base: base}))
	less := &Base{Roots: base.Roots, Blobs: maps.Clone(base.Blobs)}
	delete(less.Blobs, Lacking(first, mustDo(Walk(t.Context(), first, mustDo(first.Resolve(t.Context(), "v2")))).Blobs)[0].Digest)
	_, err := Copy(t.Context(), first, "v2", mustCreate(t, t.TempDir()), "v2", CopyOptions{Base: less})
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Blobs) != 1 {
		t.Errorf("Copy() = %v, want one blob to be missing", err)
	}
}

// TestDeltaIsFilled holds that a delta to which others have added all blobs is none any more, whatever index.json says.
func TestDeltaIsFilled(t *testing.T) {
	src, v2, base := signedVersions(t)
	dst := mustCreate(t, t.TempDir())
	defer dst.Close()
	mustDo(Copy(t.Context(), src, "v2", dst, "v2", CopyOptions{Base: base}))
	lacking := Lacking(dst, mustDo(Walk(t.Context(), dst, v2)).Blobs)
	for i, desc := range lacking {
		d := mustDo(FindDelta(t.Context(), dst, "v2"))
		if d == nil || d.Blobs != int64(len(lacking)-i) {
			t.Errorf("%d blobs are missing, FindDelta() = %+v", len(lacking)-i, d)
		}
		mustPush(t, dst, desc, fetchAll(t, src, desc))
	}
	if d := mustDo(FindDelta(t.Context(), dst, "v2")); d != nil {
		t.Errorf("FindDelta() = %+v", d)
	}
}

// TestDeltaIsCompleted holds that a delta to which the rest is copied is none any more.
func TestDeltaIsCompleted(t *testing.T) {
	src, v2, base := signedVersions(t)
	dst := mustCreate(t, t.TempDir())
	defer dst.Close()
	mustDo(Copy(t.Context(), src, "v2", dst, "v2", CopyOptions{Base: base}))
	mustDo(Copy(t.Context(), src, "v2", dst, "v2", CopyOptions{}))
	mustBeWhole(t, dst, v2)
	if d := mustDo(FindDelta(t.Context(), dst, "v2")); d != nil {
		t.Errorf("FindDelta() = %+v", d)
	}
}

func TestDeltaForRegistry(t *testing.T) {
	src, _, base := signedVersions(t)
	ref, opts := startRegistry(t, true, nil)
	_, err := Copy(t.Context(), src, "v2", mustDo(Create(t.Context(), ref, opts)), "v2", CopyOptions{Base: base})
	if !errors.Is(err, ErrUsage) {
		t.Errorf("Copy() = %v", err)
	}
}

func TestPlanCopy(t *testing.T) {
	src, _, base := signedVersions(t)
	dst := mustCreate(t, t.TempDir())
	defer dst.Close()
	mustDo(Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}))
	for _, c := range []struct {
		name             string
		dst              Store
		base             *Base
		move, have, left int
	}{
		{"new", nil, nil, 20, 0, 0},
		{"next version", dst, nil, 10, 10, 0},
		{"delta", nil, base, 10, 0, 10},
	} {
		p := mustDo(PlanCopy(t.Context(), src, "v2", c.dst, CopyOptions{Base: c.base}))
		if len(p.Move) != c.move || len(p.Have) != c.have || len(p.Left) != c.left {
			t.Errorf("%s: move %d, have %d, left %d; want %d, %d, %d", c.name, len(p.Move), len(p.Have), len(p.Left), c.move, c.have, c.left)
		}
	}
	if d := mustDo(FindDelta(t.Context(), dst, "v1")); d != nil {
		t.Errorf("FindDelta() = %+v", d)
	}
}

// TestDeltaAnnotations holds that what anybody may have written is taken for what it is.
func TestDeltaAnnotations(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		is          bool
	}{
		"none":      {nil, false},
		"odd count": {map[string]string{annotationBaseBlobs: "-1", annotationBaseBytes: "1"}, false},
		"huge":      {map[string]string{annotationBaseBlobs: "1", annotationBaseBytes: "99999999999999999999"}, false},
		"odd base":  {map[string]string{annotationBase: "../../etc,sha256:0,\x1b[2J", annotationBaseBlobs: "1", annotationBaseBytes: "1"}, true},
	} {
		d := deltaOf(c.annotations)
		if (d != nil) != c.is || d != nil && len(d.Base) > 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
