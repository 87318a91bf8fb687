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

const deltaHint = "if it is a delta, copy first what it builds on, or name that with --since for the copy to be a delta too; else \"goferry verify\" names all that is damaged, and \"goferry repair\" mends it"

// nameMissing names the modules whose blobs are neither at the job's first place nor at its last.
func (j *job) nameMissing(err error) error {
	var missing *oci.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	src, dst := j.places[0], j.places[len(j.places)-1]
	return withHint(fmt.Errorf("copy %s: %w: neither it nor %s has %s", src.text, bundle.ErrIncomplete, dst.text, blobNames(missing.Blobs)),
		deltaHint)
}

// nameDamage names the module whose blob is damaged at the job's first place.
func (j *job) nameDamage(err error) error {
	var damaged *oci.BlobError
	if !errors.As(err, &damaged) || !errors.Is(err, oci.ErrDigest) {
		return err
	}
	src := j.places[0].text
	if name := itemName(damaged.Blob); name != damaged.Blob.Digest.String() {
		err = fmt.Errorf("%s: %w", name, err)
	}
	err = fmt.Errorf("copy %s: %w", src, err)
	if _, hinted := errors.AsType[*hintedError](err); hinted {
		return err
	}
	return withHint(err, "\"goferry verify %s\" names all that is damaged, and \"goferry repair\" mends it", src)
}

// nameAbsent makes one error of all that is not on those volumes of a set that are there, and leaves what else is wrong.
func (j *job) nameAbsent(r *bundle.Report, err error, here []int, volumes int) error {
	names, others := incomplete(r)
	if len(names) == 0 {
		return err
	}
	err = fmt.Errorf("%w: %s is volume %s of %d; the rest is missing, %s: %s", bundle.ErrIncomplete, j.places[0].text, numbers(here), volumes,
		count(len(names), "blob"), firstFew(names))
	return withHint(errors.Join(append(others, err)...), "put all volumes into one directory and name that, or copy one after the other to one place and verify that")
}

// incomplete are the names of what is missing, and what else is wrong.
func incomplete(r *bundle.Report) (names []string, others []error) {
	for _, p := range r.Problems {
		if errors.Is(p.Err, bundle.ErrIncomplete) {
			names = append(names, p.Name)
		} else {
			others = append(others, fmt.Errorf("%s: %w", p.Name, p.Err))
		}
	}
	return names, others
}

// blobNames says how many blobs there are, how large they are, and what the first few are.
func blobNames(blobs []ocispec.Descriptor) string {
	var names []string
	for _, desc := range blobs {
		names = append(names, itemName(desc))
	}
	return fmt.Sprintf("%s (%s): %s", count(len(blobs), "blob"), size(totalSize(blobs)), firstFew(names))
}

// firstFew sorts names and says how many more there are.
func firstFew(names []string) string {
	const few = 5
	slices.Sort(names)
	if n := len(names) - few; n > 0 {
		names = append(names[:few], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(names, ", ")
}

// nameDelta makes one error of all that a delta lacks, and leaves what else is wrong with it.
func (j *job) nameDelta(r *bundle.Report, err error) error {
	names, others := incomplete(r)
	if len(names) == 0 {
		return err
	}
	ref := j.places[0].text
	err = fmt.Errorf("%w: %s is a delta, which lacks %s: %s", bundle.ErrIncomplete, ref, count(len(names), "blob"), firstFew(names))
	return withHint(errors.Join(append(others, err)...), "it goes where %s is: goferry copy %s DST, or goferry unpack %s DIR", baseNames(r.Delta), ref, ref)
}

// hintBase says where a delta among the bundles can be unpacked, if one was not whole where it was.
func hintBase(err error, bundles []bundle.SiteBundle) error {
	if !errors.Is(err, bundle.ErrIncomplete) {
		return err
	}
	for _, b := range bundles {
		if b.Delta != nil {
			return withHint(err, "%s is a delta: unpack it where %s is, or name that together with it", b.Name, baseNames(b.Delta))
		}
	}
	return err
}

// baseNames says what a delta builds on.
func baseNames(d *oci.Delta) string {
	if len(d.Base) == 0 {
		return "the rest"
	}
	var names []string
	for _, root := range d.Base {
		names = append(names, root.String())
	}
	return firstFew(names)
}
