package oci

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
)

// Transport says what kind of place a [Reference] names.
type Transport string

const (
	TransportLayout   Transport = "oci"         // a directory
	TransportArchive  Transport = "oci-archive" // a tar file of such a directory
	TransportRegistry Transport = "docker"      // a repository of a registry
)

// Reference names a place where manifests are, and maybe one of them.
type Reference struct {
	Transport Transport

	Path string // of a layout or an archive

	Host       string // of a registry, with its port
	Repository string

	Tag    string        // "" if none is named
	Digest digest.Digest // "" if none is named; it goes before Tag
}

// streamPath is the path of an archive that is no file.
const streamPath = "-"

// IsStream reports whether r is an archive that comes or goes as one stream: [CopyStream] reads it, [CreateStream]
// writes it, and [Open] and [Create] do not know it.
func (r Reference) IsStream() bool { return r.Transport == TransportArchive && r.Path == streamPath }

var tagPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// ParseReference reads
//
//	oci:DIR[:TAG][@DIGEST]
//	oci-archive:FILE[:TAG][@DIGEST]
//	docker://HOST/REPOSITORY[:TAG][@DIGEST]
//
// The FILE "-" is standard input or output, and "-" alone is short for oci-archive:-.
// Without a prefix, what begins with "." or "/" (or a Windows drive) is a layout, and what begins with
// a host (it has a dot or a port, or is localhost) is a registry. Nothing is ever completed to a public
// registry, and no tag is assumed. Errors are [ErrUsage].
func ParseReference(s string) (Reference, error) {
	r, err := parseReference(s)
	if err != nil {
		return Reference{}, mark(ErrUsage, fmt.Errorf("reference %q: %w", s, err))
	}
	return r, nil
}

func parseReference(s string) (Reference, error) {
	if rest, ok := strings.CutPrefix(s, "docker://"); ok {
		return parseRegistry(rest)
	}
	if rest, ok := strings.CutPrefix(s, "oci-archive:"); ok {
		return parsePath(TransportArchive, rest)
	}
	if rest, ok := strings.CutPrefix(s, "oci:"); ok {
		return parsePath(TransportLayout, rest)
	}
	if s == streamPath {
		return Reference{Transport: TransportArchive, Path: s}, nil
	}
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/") || strings.HasPrefix(s, `\`) || hasDrive(s) {
		return parsePath(TransportLayout, s)
	}
	host, _, ok := strings.Cut(s, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		registry := "docker://" + s
		if !ok {
			registry = "HOST/" + s
		}
		return Reference{}, fmt.Errorf("neither a host nor a path; write ./%s for a directory, %s for a registry", s, registry)
	}
	return parseRegistry(s)
}

func parseRegistry(s string) (Reference, error) {
	name, d, err := cutDigest(s)
	if err != nil {
		return Reference{}, err
	}
	host, repo, ok := strings.Cut(name, "/")
	if !ok {
		return Reference{}, fmt.Errorf("a registry needs HOST/REPOSITORY")
	}
	repo, tag, hasTag := strings.Cut(repo, ":")
	if hasTag && !tagPattern.MatchString(tag) {
		return Reference{}, fmt.Errorf("malformed tag %q", tag)
	}
	check := registry.Reference{Registry: host, Repository: repo}
	if err := check.ValidateRegistry(); err != nil {
		return Reference{}, fmt.Errorf("malformed host %q", host)
	}
	if err := check.ValidateRepository(); err != nil {
		return Reference{}, fmt.Errorf("malformed repository %q", repo)
	}
	return Reference{Transport: TransportRegistry, Host: host, Repository: repo, Tag: tag, Digest: d}, nil
}

func parsePath(t Transport, s string) (Reference, error) {
	path, d, err := cutDigest(s)
	if err != nil {
		return Reference{}, err
	}
	var tag string
	// A colon is a tag's if no separator follows it; C:\dir has none.
	if i := strings.LastIndexByte(path, ':'); i >= 0 && !strings.ContainsAny(path[i:], `/\`) {
		path, tag = path[:i], path[i+1:]
		if !tagPattern.MatchString(tag) {
			return Reference{}, fmt.Errorf("malformed tag %q", tag)
		}
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return Reference{}, fmt.Errorf("malformed path %q", path)
	}
	return Reference{Transport: t, Path: path, Tag: tag, Digest: d}, nil
}

func cutDigest(s string) (string, digest.Digest, error) {
	i := strings.LastIndexByte(s, '@')
	if i < 0 || !strings.HasPrefix(s[i+1:], "sha256:") && !strings.HasPrefix(s[i+1:], "sha512:") {
		return s, "", nil
	}
	d := digest.Digest(s[i+1:])
	if !validDigest(d) {
		return "", "", fmt.Errorf("malformed digest %q: want sha256: and 64 lower-case hex digits", d)
	}
	return s[:i], d, nil
}

// validDigest holds before a digest becomes a path or a part of an address.
func validDigest(d digest.Digest) bool {
	return d.Validate() == nil && d.Algorithm() == digest.SHA256
}

func hasDrive(s string) bool {
	return len(s) >= 3 && s[1] == ':' && (s[2] == '\\' || s[2] == '/') &&
		('a' <= s[0]|0x20 && s[0]|0x20 <= 'z')
}

// String is the form that [ParseReference] reads back.
func (r Reference) String() string {
	s := string(r.Transport) + ":" + r.Path
	if r.Transport == TransportRegistry {
		s = "docker://" + r.Host + "/" + r.Repository
	}
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// Target is what [Store] resolves: the digest if there is one, else the tag, else "".
func (r Reference) Target() string {
	if r.Digest != "" {
		return string(r.Digest)
	}
	return r.Tag
}

// TagOr is r with the tag, if r names neither a tag nor a digest.
func (r Reference) TagOr(tag string) Reference {
	if r.Target() == "" {
		r.Tag = tag
	}
	return r
}
