package oci

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Store is a place for blobs and manifests: a layout, an archive or a repository of a registry.
//
//   - Fetch does not verify: it hands out bytes as they are, so that nothing is hashed twice; the reader
//     verifies, or the Push that it is copied into. What a layout or an archive returns is an [io.ReaderAt] too.
//   - Push always verifies: bytes that do not match their descriptor are [ErrDigest] and are not kept.
//     A reader that is an [io.ReaderAt] too is read as that, from offset 0, and maybe more than once.
//   - Exists is true only for a blob that is known to be whole: a layout hashes it, once per Store.
//   - Resolve takes a tag, a digest, or "" if there is no doubt. A tag that is not there is [ErrNotFound],
//     and the error names some that are.
//   - Tag takes a tag, or the manifest's own digest to list it without a name. It is the commit: when it
//     returns, the manifest and all that was pushed before is durable and found by others.
//   - Predecessors are the manifests whose subject is the given one.
type Store interface {
	oras.GraphTarget

	// Tags are in lexical order, except those of a registry, which has its own.
	Tags(ctx context.Context) iter.Seq2[string, error]

	// Close ends the use of the store. It finishes an archive that was created and tagged,
	// and removes what was created and never tagged.
	Close() error
}

// BlobWriter takes a blob whose digest is learned by writing it. Write in large pieces: it does not buffer.
type BlobWriter interface {
	io.Writer
	io.ReaderAt // what was written so far; not after Commit or Discard

	// Digest is that of what was written so far.
	Digest() digest.Digest

	// Commit gives the blob its name, in place of whatever has it. It is durable once Tag has returned.
	Commit(mediaType string) (ocispec.Descriptor, error)

	// Discard forgets the blob. After Commit it does nothing.
	Discard()
}

// Ingester is a [Store] that takes blobs of unknown digest. Only layouts are.
type Ingester interface {
	Ingest(ctx context.Context) (BlobWriter, error)
}

// Options say how to reach a registry. The zero value is HTTPS with the credentials of the Docker config, if any.
type Options struct {
	PlainHTTP bool // the only way to HTTP without TLS: there is no fall-back to it

	CAFile                string // PEM file of certificates to trust beside the system's
	CertFile, KeyFile     string // PEM files of the client certificate
	InsecureSkipTLSVerify bool

	AllowHosts []string // private HOST or HOST:PORT to which the registry may send for tokens and blobs

	Username, Password string // go before the Docker config
	DockerConfig       string // file; "" is $DOCKER_CONFIG/config.json or ~/.docker/config.json

	UploadDir string // where it is kept in mind how large uploads go on, for the next process; "" is nowhere

	UserAgent    string            // "" is "goferry (cosign-compatible)"
	Transport    http.RoundTripper // nil is like http.DefaultTransport, with the TLS settings above
	RetryWait    time.Duration     // the first pause before a request is sent again; 0 is 250 ms
	StallTimeout time.Duration     // when a connection that carries nothing, or under 1 KiB/s, is given up; 0 is a minute
}

// Open opens what is there. It creates nothing: a directory or file that is not a layout is [ErrNotLayout],
// one that is not there is [ErrNotFound]. A registry is not asked before the first use.
func Open(ctx context.Context, ref Reference, opts Options) (Store, error) {
	if ref.IsStream() {
		return nil, mark(ErrUsage, fmt.Errorf("open %q: standard input can be read once, and only be copied", ref.Path))
	}
	switch ref.Transport {
	case TransportLayout:
		if dirs := VolumeDirs(ref.Path); dirs != nil {
			return OpenVolumes(ctx, dirs...)
		}
		return opened(openLayout(ref.Path))
	case TransportArchive:
		return opened(openArchive(ref.Path))
	case TransportRegistry:
		return opened(openRepository(ref, opts, auth.ActionPull))
	}
	return nil, mark(ErrUsage, fmt.Errorf("open %q: unknown transport %q", ref, ref.Transport))
}

// Create opens a layout or a registry for writing and makes a layout where there is none, in an empty or new directory.
// An archive is always written anew: it gets its name when it is closed, in place of an older one.
func Create(ctx context.Context, ref Reference, opts Options) (Store, error) {
	if ref.IsStream() {
		return nil, mark(ErrUsage, fmt.Errorf("create %q: only a copy can be written to standard output", ref.Path))
	}
	switch ref.Transport {
	case TransportLayout:
		if VolumeDirs(ref.Path) != nil {
			return nil, errVolume(ref.Path)
		}
		return opened(createLayout(ctx, ref.Path))
	case TransportArchive:
		return opened(createArchive(ref.Path))
	case TransportRegistry:
		return opened(openRepository(ref, opts, auth.ActionPull, auth.ActionPush))
	}
	return nil, mark(ErrUsage, fmt.Errorf("create %q: unknown transport %q", ref, ref.Transport))
}

// opened keeps a nil pointer from becoming a Store that is not nil.
func opened[S Store](s S, err error) (Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
