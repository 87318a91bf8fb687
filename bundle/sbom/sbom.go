// Package sbom writes bills of materials of a bundle, in the two forms that scanners read: CycloneDX 1.6 and
// SPDX 2.3, both as JSON.
//
// The root is the project that the bundle was packed for. Below it stands every module that the bundle has the zip
// of, and every toolchain, with its package URL:
//
//	pkg:golang/golang.org/x/mod@v0.42.0
//	pkg:golang/golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64
//
// and every tool, with the modules that it was built of,
//
//	pkg:golang/golang.org/x/tools@v0.51.0?goarch=amd64&goos=linux#cmd/goimports
//
// Letters keep their case. The package URL specification would have them small; but to Go the paths that differ in
// case are two modules, and vulnerability databases know them as Go does.
//
// The "h1:" sum of a zip is a property (CycloneDX) or an annotation (SPDX) and never a hash. It is a SHA-256 in base64,
// but of the list of the files' own sums; a reader that took it for the digest of a file would find no such file.
//
// The same bundle gives the same bytes: what has to be unique is made of the bundle's digest, and the time is the one
// that the bundle says, or in SPDX, which asks for one, the epoch.
//
// One possibility would be to say who requires whom. But the go.mod files of most modules are in layers of their own,
// which would all have to be read; so nothing is said of it, which in CycloneDX means that it is not known. Of a tool it
// is: its executable says so.
package sbom

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Content is what a bill of materials lists.
type Content struct {
	Name     string        // of the project, or what else the bundle was packed for
	Digest   digest.Digest // of the bundle, a SHA-256
	Created  time.Time     // zero: the bundle does not say
	Projects []string      // main modules, where there are several
	Tools    []Tool
	Modules  []Module // with the toolchains, in the order in which they are written; none twice
}

// A Module is a module or a toolchain of a bundle.
type Module struct {
	Path      string
	Version   string
	Sum       string // of the zip, "h1:…"
	Toolchain bool
	NoSumDB   bool // the checksum database does not cover it
}

// A Tool is an executable of a bundle.
type Tool struct {
	Package  string
	Platform string // "linux/amd64"
	Module   Module
	BuiltOf  []Module // all of them in Content.Modules
}

// packageURL returns the package URL of the tool's module with the platform, and the package below the module.
func (t Tool) packageURL() string {
	goos, goarch, _ := strings.Cut(t.Platform, "/")
	purl := t.Module.PackageURL() + "?goarch=" + goarch + "&goos=" + goos
	if below, ok := strings.CutPrefix(t.Package, t.Module.Path+"/"); ok {
		purl += "#" + below
	}
	return purl
}

// Names of properties and annotations. That of a sum is the one it has in the bundle.
const (
	propertyBundle = "dev.goferry.bundle"
	propertySum    = "dev.goferry.sum"
	propertySumDB  = "dev.goferry.sumdb"
)

// sumMeaning says in a document what the sums in it are.
const sumMeaning = propertySum + " is the h1: sum of a module zip as in go.sum: base64 of the SHA-256 of the sorted list of the " +
	"SHA-256 and name of each file in it; not a digest of the zip"

// properties are what is said of a module in words of our own: names and values in turn.
func (m Module) properties() [][2]string {
	p := [][2]string{{propertySum, m.Sum}}
	if m.NoSumDB {
		p = append(p, [2]string{propertySumDB, "none"})
	}
	return p
}

// PackageURL returns the module's package URL. A module path has no character that would have to be escaped; a version
// may have a plus.
func (m Module) PackageURL() string {
	return "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(url.QueryEscape(m.Version), "+", "%20")
}

// uuid makes a UUID of the bundle's digest, of version 8, whose bits are free (RFC 9562).
func (c *Content) uuid() string {
	b := []byte(c.Digest.Encoded()[:32])
	b[12], b[16] = '8', 'a'
	return fmt.Sprintf("urn:uuid:%s-%s-%s-%s-%s", b[:8], b[8:12], b[12:16], b[16:20], b[20:])
}
