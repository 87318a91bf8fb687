package bundle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// CheckAnnotation refuses annotations that are not for the user to make: those of goferry itself, and the time of
// creation, which has a field in the config as well; see [PackOptions].
func CheckAnnotation(key, value string) error {
	switch {
	case key == "" || strings.ContainsFunc(key, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }):
		return fmt.Errorf("annotation %q: not a name such as org.opencontainers.image.version", key)
	case value == "":
		return fmt.Errorf("annotation %s: it has no value", key)
	case !utf8.ValidString(key) || !utf8.ValidString(value):
		return fmt.Errorf("annotation %q: %q is not UTF-8", key, value) // JSON would have something else in its place
	case key+"." == annotationPrefix || strings.HasPrefix(key, annotationPrefix):
		return fmt.Errorf("annotation %s: what begins with %s is what goferry says of a bundle", key, annotationPrefix)
	case key == ocispec.AnnotationCreated:
		return fmt.Errorf("annotation %s: it is what SOURCE_DATE_EPOCH says", key)
	}
	return nil
}

func checkAnnotations(annotations map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if err := CheckAnnotation(key, annotations[key]); err != nil {
			return err
		}
	}
	return nil
}
