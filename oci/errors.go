package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"

	"github.com/goferry/goferry/oci/space"
)

// What went wrong, for callers that act on it; use errors.Is.
var (
	// ErrNotFound is a tag, manifest or blob that is not there.
	// It is oras-go's own, so that their algorithms understand our stores.
	ErrNotFound = errdef.ErrNotFound

	// ErrUnauthorized is a registry that wants other credentials, or denies what was asked.
	ErrUnauthorized = errors.New("unauthorized")

	// ErrNetwork is a registry that cannot be reached, breaks off, or says so itself (5xx, 429).
	ErrNetwork = errors.New("network")

	// ErrDigest is bytes that are not what their descriptor says: changed, cut, or malformed.
	ErrDigest = errors.New("content does not match its descriptor")

	// ErrNoSpace is a full disk, a full quota, here or at the registry.
	ErrNoSpace = errors.New("no space")

	// ErrNotLayout is a directory or file that is not an OCI layout.
	ErrNotLayout = errors.New("not an OCI layout")

	// ErrIndexFile is an index.json that cannot be read, so that nobody knows what there is. It is ErrDigest as well.
	ErrIndexFile = errors.New("damaged index.json")

	// ErrUsage is a malformed or incomplete reference.
	ErrUsage = errors.New("malformed reference")
)

// A BlobError is what went wrong with one blob of a copy.
type BlobError struct {
	Blob ocispec.Descriptor // with the annotations of who names it
	Err  error
}

func (e *BlobError) Error() string { return e.Err.Error() }
func (e *BlobError) Unwrap() error { return e.Err }

// marked is an error that also is a kind of error, without the kind's text in its own.
type marked struct {
	error
	kind error
}

func (m marked) Unwrap() []error { return []error{m.kind, m.error} }

func mark(kind, err error) error {
	if err == nil || errors.Is(err, kind) {
		return err
	}
	return marked{err, kind}
}

func malformed(format string, args ...any) error {
	return mark(ErrDigest, fmt.Errorf(format, args...))
}

// local marks what a file system says.
func local(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return mark(ErrNotFound, err)
	}
	if NoSpace(err) {
		return mark(ErrNoSpace, err)
	}
	return err
}

// NoSpace reports whether err came for want of space: [ErrNoSpace], or what package space says of a disk.
func NoSpace(err error) bool { return errors.Is(err, ErrNoSpace) || space.Full(err) }

// Unreadable reports whether err is a disk's that cannot give back what it has been given: a bad sector.
func Unreadable(err error) bool {
	return slices.ContainsFunc(badSector, func(bad error) bool { return errors.Is(err, bad) })
}

// Gone reports whether err is what the system says of a medium that was pulled out, or whose file system died.
func Gone(err error) bool {
	var socket *net.OpError // of a host that is away
	return !errors.As(err, &socket) && slices.ContainsFunc(mediumGone, func(gone error) bool { return errors.Is(err, gone) })
}
