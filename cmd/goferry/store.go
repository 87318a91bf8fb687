package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// defaultTag is the tag of a reference without one, as everywhere else.
const defaultTag = "latest"

// A place is a reference and how the user wrote it.
type place struct {
	oci.Reference
	text string
}

// parsePlaces reads references, all before any is used.
func parsePlaces(args ...string) ([]place, error) {
	var places []place
	for _, arg := range args {
		ref, err := oci.ParseReference(arg)
		if err != nil {
			return nil, withHint(err, "%s", cmp.Or(meantScheme(arg), meantPath(arg), "a bundle is oci:DIR[:TAG], oci-archive:FILE[:TAG] or HOST/REPO[:TAG][@DIGEST]"))
		}
		places = append(places, place{ref, arg})
	}
	return places, nil
}

// meantScheme returns a hint for a URL.
func meantScheme(arg string) string {
	scheme, rest, _ := strings.Cut(arg, "://")
	switch scheme {
	case "https":
		return "leave the scheme out: " + rest
	case "http":
		return "leave the scheme out, and add --plain-http: " + rest
	case "file":
		return cmp.Or(meantPath(rest), "a directory is oci:DIR[:TAG], a file oci-archive:FILE[:TAG]")
	}
	return ""
}

// meantPath returns a hint for a directory or file, with a tag or without, that was written as if it were a registry.
func meantPath(arg string) string {
	name := arg
	if i := strings.LastIndexByte(arg, ':'); i > 0 && !exists(arg) {
		name = arg[:i]
	}
	switch info, err := os.Stat(name); {
	case err != nil:
		return ""
	case bundle.IsUnpacked(name):
		return unpackedHint(name)
	case info.IsDir():
		return "for the directory write oci:" + arg
	}
	return "for the file write oci-archive:" + arg
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func unpackedHint(dir string) string {
	return fmt.Sprintf("that is where bundles were unpacked into: \"goferry status %s\" says which", dir)
}

// explain adds to an error of a store what to type next, where that depends on what the user
// typed: how to log in to the registry which the error names, or that no registry was meant,
// or that a medium was pulled out.
func explain(err error, places []place) error {
	if err == nil {
		return nil
	}
	if gone := explainGone(err, places); gone != nil {
		return gone
	}
	var hinted *hintedError
	if errors.As(err, &hinted) {
		return err
	}
	for _, p := range places {
		if p.Host == "" || !strings.Contains(err.Error(), p.Host) {
			continue
		}
		if errors.Is(err, oci.ErrUnauthorized) && hint(err) == "" {
			return withHint(err, "log in with \"goferry login %s\", or give --username and --password-stdin", p.Host)
		}
		if h := meantPath(p.text); h != "" {
			return withHint(err, "%s", h)
		}
	}
	return explainPlace(err, places)
}

// explainPlace adds what to type where a place is not what it was taken for: without the tag that was asked for, or
// without any that can be read.
func explainPlace(err error, places []place) error {
	var noTag *oci.TagError
	for _, p := range places {
		switch {
		case errors.As(err, &noTag) && noTag.Place == p.name():
			return withHint(err, "%s", tagHint(noTag, p))
		case errors.Is(err, oci.ErrIndexFile) && p.Transport == oci.TransportLayout && strings.Contains(err.Error(), p.Path):
			return withHint(err, "no digest tells what index.json has to be: write {\"schemaVersion\":2,\"manifests\":[]} into it and copy each bundle to %s again; blobs that are whole are not sent again", p.text)
		case errors.Is(err, oci.ErrIndexFile) && p.Transport == oci.TransportArchive:
			return withHint(err, "the archive was changed on its way: copy the file once more")
		case p.Transport == oci.TransportLayout && bundle.IsUnpacked(p.Path) && strings.Contains(err.Error(), p.Path):
			return withHint(err, "%s", unpackedHint(p.Path))
		case p.Transport == oci.TransportLayout && isFile(p.Path) && strings.Contains(err.Error(), p.Path):
			return withHint(err, "for the file write oci-archive:%s", p.Path)
		}
	}
	return err
}

// tagHint names the tag that may have been meant.
func tagHint(e *oci.TagError, p place) string {
	if len(e.Tags) == 0 {
		return "see whether the place is right; a bundle gets its tag when all of it has arrived, so an unfinished copy, or volumes still to come, leave it without"
	}
	return fmt.Sprintf("name one that is there, as in %s:%s", p.untagged(), cmp.Or(nearest(e.Tag, e.Tags), e.Tags[0]))
}

// name is what errors of the place's store call it.
func (p place) name() string {
	if p.Host != "" {
		return repository(p)
	}
	return p.Path
}

// untagged is the reference without tag and digest, as policies have it.
func (p place) untagged() string {
	if p.Host != "" {
		return repository(p)
	}
	return string(p.Transport) + ":" + p.Path
}

// readTarget returns what ref calls the bundle. Without a tag that is "latest", but the
// only tag of a layout or archive that has only one.
func readTarget(ctx context.Context, store oci.Store, ref oci.Reference) (string, error) {
	if target := ref.Target(); target != "" {
		return target, nil
	}
	if ref.Host != "" {
		return defaultTag, nil
	}
	var tags []string
	for tag, err := range store.Tags(ctx) {
		if err != nil {
			return "", err
		}
		if oci.IsReferrerTag(tag) {
			continue
		}
		if tags = append(tags, tag); len(tags) > 1 {
			return defaultTag, nil
		}
	}
	if len(tags) == 1 {
		return tags[0], nil
	}
	return "", nil // the store knows whether there is only one thing
}

// checkDestination refuses a place that cannot be written to.
func checkDestination(p place) error {
	if p.Digest != "" {
		return usagef("%q: a bundle is written under a tag, its digest follows from its content", p.text)
	}
	return nil
}
