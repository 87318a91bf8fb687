// Package bundle makes, reads and uses goferry's bundles: what a Go build needs,
// as an OCI artifact that can be carried to a place without a network.
//
// # What a bundle is
//
// A bundle is an OCI image index with one image manifest a platform. Its layers are
// Go modules and Go toolchains; everything else is moving it and proving it. The digest
// of the index is the bundle's name.
//
//	index                      application/vnd.oci.image.index.v1+json, no artifactType
//	└─ manifest a platform     application/vnd.oci.image.manifest.v1+json
//	   ├─ config               an image config, or application/vnd.goferry.bundle.config.v1+json
//	   ├─ toolchain layer      tar+gzip, usr/local/go/…         (see package toolchain)
//	   ├─ further toolchains   tar, one a Go version, sorted by version
//	   ├─ tool layers          tar+gzip, go/bin/<name>, one a tool, sorted by package
//	   ├─ module layers        tar, one a module or a group of them, sorted by path and version
//	   └─ graph layer          tar, what is not a module of its own
//
// All platforms name the same module layers and the same graph layer; they differ in
// the toolchains, of which each platform has the same Go versions, and in the tools.
//
// A module layer is an uncompressed tar of exactly three files,
//
//	go/pkg/mod/cache/download/<escaped path>/@v/<escaped version>.info
//	go/pkg/mod/cache/download/<escaped path>/@v/<escaped version>.mod
//	go/pkg/mod/cache/download/<escaped path>/@v/<escaped version>.zip
//
// in this order, the zip's bytes as the module proxy gave them. It depends on nothing but
// the module, so it is the same blob in every bundle that carries the module, on every
// machine: that is the deduplication. The descriptor of the layer has the module
// ("dev.goferry.module": "path@version") and its "h1:" sum ("dev.goferry.sum"), so that a
// bundle's content can be listed without fetching a layer.
//
// With a layer budget modules share layers where there would be too many for an image: a group is the module layers of
// several modules one after another, without each one's end. Its descriptor lists what these layers are, with their digests
// ("dev.goferry.group", see [Members]), so that each module of a group is proven, found damaged, linked in an unpacked
// directory and remembered as if it had a layer of its own, and a reader of both forms has one way for them. That costs a
// second SHA-256 of the bytes of groups. Which module goes where depends on the modules and the budget alone: about half of
// the layers have one large module each, and the others the modules of some repositories, which tend to change together.
//
// One toolchain is GOROOT. A further one is what the go command may switch to (GOTOOLCHAIN=auto),
// which it does by fetching the module golang.org/toolchain; so its layer is a module layer. The
// module zip of GOROOT is in no layer: it can be given back from GOROOT's, with the same sum though
// not the same bytes, and is so by [Unpack] and in a [Site], for go commands that are not the
// bundle's. A toolchain's .info and .mod files are the same everywhere (see package toolchain).
//
// A tool layer has one file, a command that was built of public modules alone and is the same wherever
// that is done (see package gomod), with the mode 0755. Its descriptor has the package ("dev.goferry.tool":
// "package@version") and the sum of its module. It is compressed, as an executable shrinks to half its size;
// so its digest, unlike its diff_id, is that of a compressor, whose version go.mod holds: another
// version of goferry may make another blob of the same executable, and all read both.
//
// The graph layer has the .info and .mod files of modules that take part in version
// selection only, the answers to version queries (list and @latest; of toolchains list and the .info
// files that the go command asks for on every platform), the part of the checksum database that
// proves every sum in the bundle, to a fresh go command and to one that has seen the tree head of
// an earlier bundle (see package sumdb), and the bundle's own record,
// usr/local/share/goferry/bundle.json (see [Record]). Every entry but the go.mod files and the
// database's is made again when the bundle is checked, and compared; and so is an image's config,
// whose environment and command are what a container begins with.
//
// Unpacked below one root the layers are at once a GOPROXY tree, a module cache and a
// GOROOT: go/pkg/mod/cache/download can be used as GOPROXY=file://…, and an image, which is what a
// bundle of up to [MaxImageLayers] layers is or one with a layer budget, runs "go build" without a network.
//
// Everything is written so that the same input gives the same bytes: entries are sorted,
// times are at the epoch, owners are 0, no name of a host or directory is kept.
//
// # What is proven, and where
//
// Pack recomputes the "h1:" sum of every zip and go.mod file and compares it with go.sum
// and with the checksum database before the layer is referred to by anything. What has been
// proven for a layer is remembered under the layer's digest, which covers the zip, the go.mod
// file and the .info file together; so packing again inflates nothing, and who reads a bundle on
// the same machine only hashes what was proven there before, by whatever command.
//
// A module that was made of a directory (see package gomod) is what the checksum database says if it knows that version;
// else GONOSUMDB excepts its path, as for a private module, and the users' go.sum files are all that holds it.
//
// No checksum database knows executables. What is proven of a tool is that it is what the maker of the bundle
// has signed; that it says of itself, as "go version -m" shows, what the bundle's record says: package,
// version, platform, the Go version and every module it was built of; and that the checksum database has
// the sums of those.
//
// Only [Verify] makes a [Verified], and only a Verified can be checked or unpacked. Verify
// settles what the bundle is, from its documents; [Verified.Check] and [Unpack] read the blobs,
// and use nothing of a blob before its digest and its sums are found right.
//
// # A site
//
// The go command remembers the newest tree head of the checksum database that it has seen, and
// accepts another one only with the tiles that connect the two. So a site has one tree, not one for
// each bundle: [Unpack] and [OpenSite] merge bundles by the same rules, which do not depend on the
// order, and refuse bundles that contradict each other: another zip for the same version, another
// database, another history of it, an exception from it for what another bundle proves. Of several versions of
// a tool the newest is taken, as there is one place for it. What is
// made again for all of them together are the answers to queries, the record and the settings.
//
// A directory keeps the documents and the graph layers of the bundles in it, so that another can be added without them:
// their digests prove the files that the directory has, all of them and by their bytes, whenever Unpack links them into
// a new generation, for RepairUnpacked, and where somebody asks. One possibility would be to believe size, mode and time, which costs
// no reading; but then a bit that a disk has lost goes from one generation to the next for years.
//
// # A delta
//
// A [Receipt] says which blobs a place has. A copy without them is a delta: a layout with all documents and signatures,
// whose entry in index.json says what it builds on, for people. What it lacks is known by looking, where it arrives: at
// the layout or registry that it is copied to, or in the directory that it is unpacked into, whose files are proven to
// be of the same layers. So a receipt that lies, or another base, makes a bundle that is refused, and never a wrong one.
//
// # Who made it
//
// Sign signs the index, and each manifest as Harbor asks for that, in the two forms that cosign has (see package
// signing): as a layer of the manifest with the tag sha256-<hex>.sig, and as a sigstore bundle that refers to what is
// signed. Cosign looks at nothing but sigstore bundles where it finds one, by whomever; so Sign never makes the first
// one where that would hide somebody's signature. The claims of a signature are cosign's annotations:
//
//	dev.goferry.name       the bundle's title, which is the same wherever the bundle is kept
//	dev.goferry.tag        the tag under which it was signed; it is not believed under another
//	dev.goferry.sequence   a number that grows: the time of signing, unless the user numbers bundles
//	dev.goferry.platforms  what the bundle is for
//	dev.goferry.index      on a manifest: the index that it is a part of, in place of which it is not believed
//
// With a [Trust], Verify asks for signatures by its keys before it reads anything else. All that are stored are tried,
// as anybody can add one to a registry: one that is wrong, foreign, or an attestation, hides no good one. A [Policy] makes
// the Trust for a place, and a [History] sees to it that no bundle is followed by an older one of the same name.
//
// [Attest] attaches what a key says of the index beside that it is signed: an in-toto attestation of some type, as cosign
// does it. It is a sigstore bundle, and so it would hide signatures that are not in one; there has to be one that is. A
// Trust may ask for attestations of some types. They are read then only, within limits of their own, and never count
// as signatures. A manifest's word for what type it has is believed where that makes goferry look elsewhere, and nowhere
// else.
//
// # What was rejected
//
// One possibility would be to carry extracted module trees and .ziphash files, which the go
// command could use at once; but it trusts both without looking, so a forged .ziphash beats
// go.sum and the checksum database. Neither is ever carried. Another would be one layer that
// holds everything, which is simpler to unpack; but then a patch release of one dependency
// moves the whole bundle across the gap again. A group could do without the digests of its parts, which its own covers;
// but then damage to a byte would be damage to all its modules, and the files of an unpacked directory could be held
// against a group only if all of it had come from there. Compressing module layers would save nothing
// (a zip is compressed already) and would tie the digest to a compressor's version. Further
// toolchains could be layers like GOROOT's, each below a name of its own; but the go command does
// not look for them there, and an image has nobody who could give their zips back.
package bundle

import (
	"errors"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Annotations that goferry writes: on layer descriptors where it says so, else on index and
// manifests, and as labels in configs.
const (
	AnnotationModule    = "dev.goferry.module"    // "path@version", on module and toolchain layers
	AnnotationSum       = "dev.goferry.sum"       // "h1:…" of the module zip, on module and toolchain layers; on tool layers that of the tool's module
	AnnotationSumDB     = "dev.goferry.sumdb"     // on a layer: "none" where the checksum database does not cover the module; on an index: the database's name
	AnnotationGroup     = "dev.goferry.group"     // on layers of several modules, in place of the above: what they are, a line a module
	AnnotationTool      = "dev.goferry.tool"      // "package@version", on tool layers
	AnnotationLayer     = "dev.goferry.layer"     // "graph" on the graph layer
	AnnotationFormat    = "dev.goferry.format"    // version of this format: "1"
	AnnotationToolchain = "dev.goferry.toolchain" // of GOROOT: "go1.26.8"
	AnnotationTreeHead  = "dev.goferry.treehead"  // how many records the checksum database had by the bundle's tree head: "71769961"

	// By the earlier tree heads, from which go commands can go on: "51929436,60000000".
	AnnotationEarlierHeads = "dev.goferry.treehead.earlier"
	AnnotationModules      = "dev.goferry.modules" // how many modules are carried whole
	AnnotationTools        = "dev.goferry.tools"   // "package@version,…", built for every platform
	AnnotationScope        = "dev.goferry.scope"   // "build", "dev" or "all"

	// What the projects need a C compiler for: "github.com/mattn/go-sqlite3 linux/amd64 linux/arm64,…".
	AnnotationCgo = "dev.goferry.cgo"
)

const (
	// MediaTypeConfig is the config of a manifest that has more layers than an image can have.
	MediaTypeConfig  = "application/vnd.goferry.bundle.config.v1+json"
	mediaTypeTar     = ocispec.MediaTypeImageLayer     // modules, graph
	mediaTypeTarGzip = ocispec.MediaTypeImageLayerGzip // toolchains, tools

	annotationPrefix = "dev.goferry."

	formatVersion = "1"
	layerGraph    = "graph" // value of AnnotationLayer
	sumDBNone     = "none"  // value of AnnotationSumDB on a layer

	// MaxImageLayers is the largest number of layers in a manifest that is written as a
	// runnable image, unless a layer budget says another. Docker mounts at most 127, and whoever builds FROM it adds his own.
	MaxImageLayers = 100

	// maxManifest is the largest manifest or index that is written or read, in bytes.
	// Registries stop at 4 MiB.
	maxManifest = 3_500_000

	maxPlatforms = 64       // of a bundle that is read
	maxDocuments = 32 << 20 // of a bundle that is read, in bytes: index, manifests and configs
)

// Where things are in the layers' trees, which is where they are in an image.
const (
	downloadDir   = "go/pkg/mod/cache/download/"
	toolDir       = "go/bin/"
	recordName    = "usr/local/share/goferry/bundle.json"
	tmpDir        = "tmp/"
	toolchainPath = "golang.org/toolchain"
)

// ErrMismatch says that bytes, sums or structure of a bundle are not what they have to be.
var ErrMismatch = errors.New("verification failed")

// ErrIncomplete says that something a bundle names is not there.
var ErrIncomplete = errors.New("bundle is incomplete")

// ErrNotUnpacked says that nothing was unpacked into a directory.
var ErrNotUnpacked = errors.New("not a directory that a bundle was unpacked into")

// An Event tells how far a long operation has come. Events come from many goroutines, one
// at a time.
type Event struct {
	Stage      string // "capture", "check", "pack", "push", "verify", "compare", "unpack"
	Item       string // what was finished: "golang.org/x/mod@v0.42.0"; or ""
	Items      int    // advance
	Bytes      int64  // advance
	TotalItems int    // zero: not known, or said before
	TotalBytes int64  // zero: not known, or said before
	Skipped    bool   // what advances was there already, and is not moved
}
