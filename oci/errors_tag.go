package oci

import (
	"fmt"
	"slices"
	"strings"
)

// A TagError is a tag that is not there, or a place where nothing has one. It is [ErrNotFound].
type TagError struct {
	Place string
	Tag   string   // "" if none was asked for
	Tags  []string // some that are there
}

func newTagError(place, tag string, tags []string) *TagError {
	return &TagError{place, tag, slices.DeleteFunc(slices.Clone(tags), IsReferrerTag)}
}

func (e *TagError) Error() string {
	switch {
	case e.Tag == "":
		return fmt.Sprintf("%s: nothing is tagged", e.Place)
	case len(e.Tags) == 0:
		return fmt.Sprintf("%s: tag %q: not found (nothing is tagged)", e.Place, e.Tag)
	}
	return fmt.Sprintf("%s: tag %q: not found (there are: %s)", e.Place, e.Tag, someTags(e.Tags))
}

func (e *TagError) Unwrap() error { return ErrNotFound }

// someTags is a list for an error text.
func someTags(tags []string) string {
	const most = 10
	if len(tags) > most {
		tags = append(slices.Clone(tags[:most]), "…")
	}
	return oneLine(strings.Join(tags, ", "))
}
