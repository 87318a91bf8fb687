// Package oci moves blobs, manifests and indexes between OCI layouts, archives of layouts, and registries.
// It knows the image, image layout and distribution specifications, and nothing of what the blobs are for.
//
// # Stores
//
// [ParseReference] reads the name of a place, [Open] and [Create] make a [Store] of it, [Copy] moves what belongs
// together from one to another. A Store is an oras-go target, so that library's algorithms work on it too.
//
// Who verifies is settled once: Push does, Fetch does not, so every byte that moves is hashed one time.
// Who reads without pushing verifies itself; [FetchDocument] does, for JSON.
//
// # Layouts
//
// A layout is a directory:
//
//	oci-layout             {"imageLayoutVersion":"1.0.0"}; also the file that is locked
//	index.json             what is tagged: sorted, one entry a tag, the same bytes for the same tags
//	blobs/sha256/<hex>     under its digest
//	.goferry-<random>/     what a running process has not finished
//
// Rules of the writer:
//
//   - A file is written under a temporary name and renamed: under its own name it is whole.
//   - A blob that is there is hashed before it is believed, as the machine that wrote it may have lost power.
//     One that is wrong, or is a link or a device, is replaced.
//   - Tag is the commit: blobs are made durable, then index.json, then the directory. On Linux the blobs take one
//     syncfs. (200 small ones on ext4: 11 ms; with an fsync each: 182 ms.)
//   - index.json is read, changed and written under a lock between processes, and only then. What others put
//     into it stays.
//   - What a killed process left is known by its free lock and removed by the next writer, unless there is
//     anything in it that is not ours. The part of a large blob out of a registry is taken over: it is hashed and the
//     rest is asked for. It waits for a week, as does a blob of which some parts have come from volumes.
//   - Only reading writes nothing, so read-only media work.
//   - Before blobs are written there is room for all that are missing, as far as the system says (see package space).
//     Where the disk is full in spite of that what has come stays for the next attempt, as after an interruption.
//
// [Check] goes on after what is damaged, and tells of all of it. [Repair] fetches just that from other stores. An archive
// cannot be repaired in its place, and a registry keeps the blob that it has, whatever is sent. [Prune] removes blobs,
// which nothing else does; the lock that keeps it away is that on the staging directory of whoever writes.
//
// Only regular files are read, at most as many bytes as their descriptor says. Documents are at most 4 MiB of strict
// JSON, and index.json 8 MiB, see [DecodeStrict]; digests are SHA-256, and are checked before they become a path.
//
// A layout may lack blobs, as the specification has it: Copy takes such a one where the destination has them already.
// With a [Base] it makes one, without what is at the base; the entry in index.json then says what it builds on.
//
// One possibility would be oras-go's content/oci, but it believes any file that has a blob's name, syncs nothing,
// rewrites index.json in place, loses tags when two processes write, and cannot be opened once a manifest is cut.
// go-containerregistry's layout package does not check digests.
//
// # Archives
//
// An archive is an uncompressed tar file of a layout: oci-layout, the blobs as they are pushed, index.json. One pass
// over the headers finds everything, and blobs are read in place. It is written as one stream, and gets its name when
// it is closed, in place of nothing or of a regular file: a link or a device is left alone. Equal pushes make equal
// bytes; Copy pushes into an archive in an order that content alone decides. Compressed archives are refused: to read
// them in place is not possible, and their blobs are compressed already.
//
// What goes through a pipe can be written once and read once, see [CreateStream] and [CopyStream]. Such an archive
// begins with oci-layout, index.json and all documents, so that who reads it knows which blobs are needed; it is read
// in any order. One that was cut lacks blobs that its documents name, and is never taken for whole.
//
// # Volumes
//
// What is too large for a disc or a stick is spread over volumes, see [CopyToVolumes]: directories vol-01-of-03 and so
// on, each of which can be carried alone. Each is a layout that lacks blobs:
//
//	oci-layout, index.json    the same in each, with all documents
//	blobs/sha256/<hex>        the volume's own blobs, in the order of the graph
//	parts/<hex>.<n>           part n, from 1, of a blob that is larger than a volume or than 4 GiB, where FAT32 stops
//	volume.json               which volume of how many this is, of what, and on which volume each blob or part is
//	SHA256SUMS                all these files, for sha256sum -c
//
// A volume counts a mebibyte for its file system, and for each file whole clusters of 4 KiB and one more. Volumes are
// read in place as one store, in any order; nothing is joined. Copy from some of them leaves at its destination what
// has come, and what is written to volume.json is only used to find things and to name what is missing: digests decide.
// One possibility would be to cut an archive into pieces, as others do, but then one damaged piece costs all, they have
// to be joined before anything can be read, and cannot be loaded one after the other.
//
// # Registries
//
// oras-go speaks with registries; this package gives it the transport: HTTPS unless plain HTTP is asked for, with no
// fall-back from one to the other; ten redirects at most and none out of TLS; credentials for the host they are meant
// for; no other private host for tokens and blobs than those that are named; requests repeated after what may pass
// (429, 5xx, a lost connection), also in the middle of an upload if its source can be read again. A blob that breaks
// off on its way here goes on where it was cut, also if that does not show but in nothing coming for ten seconds, as long
// as one of six requests in a row brings 128 KiB of it. A blob on its way there is one request if it is small and the registry takes that, else two; a large one goes in chunks, which
// many registries keep when they are cut, so that this process or the next can go on. What the manifest names that has
// the tag, or a tag like it, is not asked for. No answer is waited for without end: lists have fifty pages at most, a
// document two minutes, a blob a minute for each 60 KiB. What a registry says is quoted in errors, on one line, without
// the secrets that were sent to it.
//
// # Referrers
//
// What belongs to a manifest (signatures, attestations, SBOMs) is found through the referrers API, the fallback tag
// sha256-<hex>, the subjects of what index.json lists, and cosign's tags sha256-<hex>.sig, .att and .sbom. Copy takes
// all of it along, and writes it the way the destination has it. In a layout that is every way at once: an entry for
// the referrer, one for the fallback tag, and cosign's "kind" annotation, because oras, regctl and cosign each look
// for another of them.
//
// # Errors
//
// Errors say what was done, with which thing, and why not; their kind is told by errors.Is and the Err variables.
package oci
