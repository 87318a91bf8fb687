package serve

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// A Source is a bundle, or all tagged bundles of a layout or an archive.
type Source struct {
	Name       string // as the user wrote it, for messages
	Repository string // what it is called below /v2/; "": by its reference
	Reference  oci.Reference

	// Trust returns what is asked of the signatures of bundles that are read now; nil: nothing ever is.
	Trust func() *bundle.Trust
}

// repositoryPattern is the distribution specification's.
var repositoryPattern = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// maxRepository keeps a repository's name and the longest host within what clients take.
const maxRepository = 200

// trust is Trust of now; nil asks nothing.
func (s Source) trust() *bundle.Trust {
	if s.Trust == nil {
		return nil
	}
	return s.Trust()
}

// all says whether the source is whatever bundles there are.
func (s Source) all() bool { return s.Reference.Target() == "" && s.Reference.Host == "" }

// repository is what the source is called below /v2/: a registry's repository, or the name of the directory or file.
func (s Source) repository() (string, error) {
	name := s.Repository
	switch {
	case name != "":
	case s.Reference.Host != "":
		name = s.Reference.Repository
	default:
		path, err := filepath.Abs(s.Reference.Path)
		if err != nil {
			return "", err
		}
		name = filepath.Base(path)
		name = repositoryName(strings.TrimSuffix(name, filepath.Ext(name)))
	}
	if !repositoryPattern.MatchString(name) || len(name) > maxRepository {
		return "", fmt.Errorf("%w: %q cannot be a repository's name: it has lower-case letters, digits, and single . _ - / between them", ErrName, name)
	}
	return name, nil
}

// repositoryName makes a repository's name of a file's.
func repositoryName(name string) string {
	other := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') }
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), other), "-")
}
