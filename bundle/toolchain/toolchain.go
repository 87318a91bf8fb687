// Package toolchain turns the module zip of a Go toolchain into an OCI layer and back,
// and proves such a layer.
//
// The go command distributes toolchains as the module golang.org/toolchain, one version a
// release and platform, v0.0.1-go1.26.8.linux-amd64. As a module it is covered by the
// checksum database. As a layer (application/vnd.oci.image.layer.v1.tar+gzip) it holds
// usr/local/go/…, so that an image of it alone can run "go build".
//
// # Nothing is compressed again
//
// A gzip stream may have many members (RFC 1952), and a member is a raw deflate stream
// between a header and the CRC-32 and size of what it inflates to: what a zip has for each
// of its files. So the layer is a sequence of two kinds of members:
//
//   - a file of 4 KiB or more is a member of its own; its deflate stream, CRC-32 and size are
//     copied from the zip;
//   - everything between (tar headers, padding, small files, files that the zip does not
//     compress) is collected into runs, members of at most 256 KiB of the tar, which a very
//     small compressor of our own writes (see run).
//
// No library's compressor takes part, so the same zip gives the same layer with every version
// of everything, and a zip can be given back from the layer. Our own is worth its few lines:
// with stored blocks in the runs the layer of Go 1.26 had 82.4 MB, with it 68.9, which is less
// than the zip's 71.7.
//
// Every member's header has the extra field "GF", four bytes, with the size of the whole
// member. Readers that do not know it ignore it; ours find the members without inflating
// them, inflate several at once, and copy them into a zip. The field is as untrusted as all
// else: a member that does not end exactly where it says is refused.
//
// # The tar
//
// Regular files only, sorted by name, no two the same where case is ignored, time at the
// epoch, owner 0 without names, USTAR headers or PAX where the name needs it, and the two
// empty blocks at the end. The mode is decided by the name, with the rule of Go's own
// cmd/distpack: 0755 for bin/, pkg/tool/, *.bash, *.sh, *.pl, *.rc and go_*_*_exec, 0644 for
// all else. The zip's modes say the same, but no sum covers them.
//
// In the zip every go.mod is called _go.mod, because a module cannot hold other modules. The
// layer has the right name, as the go command gives it back when it unpacks a toolchain.
// A zip with a go.mod, or a layer with a _go.mod, is refused: so the mapping is exact.
//
// [Walk] takes only what [Transcode] could have written: of the tar, all bytes that are not
// content of a file are compared with the bytes that Transcode writes. A list of what is forbidden
// (links, devices, sparse files, odd PAX records, numbers in base 256, …) would have holes,
// because tar readers differ in what they make of those.
//
// # What was rejected
//
// One possibility would be to inflate and compress again; but that costs many times the time,
// and ties the digest of the layer to one version of one compressor. Making a member of every
// file costs readers more than it saves: two thirds of the files are under 4 KiB, and the
// layer would be bigger for it.
package toolchain

import (
	"fmt"
	"go/version"
	"io/fs"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	modulePath    = "golang.org/toolchain"
	versionPrefix = "v0.0.1-"
	goroot        = "usr/local/go/"
)

// Limits of what is read. Go 1.26 has 11,518 files of 215 MB together, at 3:1.
const (
	maxFiles = 50_000
	maxBytes = 4 << 30  // of the tar
	maxNames = 16 << 20 // of all names and their directories' names
	maxRatio = 100      // of the inflated bytes to the compressed ones,
	ratioMin = 64 << 20 // once so much has been inflated
)

// A Layer says what a layer holds.
type Layer struct {
	DiffID digest.Digest // of the uncompressed tar
	Sum    string        // "h1:" sum of the module zip that the layer was made of
}

// A File is an entry of a layer.
type File struct {
	Name string      // relative to GOROOT: "bin/go"
	Mode fs.FileMode // 0644 or 0755
	Size int64
}

var platform = regexp.MustCompile(`^[a-z0-9]+-[a-z0-9]+$`)

// ModuleVersion returns the version of golang.org/toolchain that is the Go version
// ("go1.26.8") for a platform.
func ModuleVersion(goVersion, goos, goarch string) string {
	return versionPrefix + goVersion + "." + goos + "-" + goarch
}

// GoMod is the go.mod file of every version of the module: their zips have none.
const GoMod = "module " + modulePath + "\n"

// Info returns the .info file of a version of the module, in the one form that goferry writes:
// when a release was made is covered by no sum.
func Info(version string) []byte { return fmt.Appendf(nil, "{\"Version\":%q}", version) }

// ParseVersion is the reverse of [ModuleVersion].
func ParseVersion(v string) (goVersion, goos, goarch string, err error) {
	rest, ok := strings.CutPrefix(v, versionPrefix)
	dot := strings.LastIndexByte(rest, '.')
	if !ok || dot < 0 || !platform.MatchString(rest[dot+1:]) {
		return "", "", "", fmt.Errorf("toolchain version %q: want v0.0.1-goVERSION.GOOS-GOARCH", v)
	}
	goVersion = rest[:dot]
	if !version.IsValid(goVersion) || strings.Contains(goVersion, "-") {
		return "", "", "", fmt.Errorf("toolchain version %q: %q is not a Go version", v, goVersion)
	}
	goos, goarch, _ = strings.Cut(rest[dot+1:], "-")
	return goVersion, goos, goarch, nil
}
