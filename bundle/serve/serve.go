// Package serve answers the go command and container engines over HTTP, straight from bundles.
//
// # What is served
//
// Several bundles are one namespace on one port, and everything is read-only:
//
//	/<module>/@v/list, /<module>/@latest, …   the GOPROXY protocol, toolchains included
//	/sumdb/<name>/…                           the checksum database's part that proves the bundles
//	/v2/…                                     the bundles as a registry, with what refers to them
//	/goferry/env.json                         what a go command's environment has to be
//	/healthz                                  "ok", without a password
//	/metrics                                  for Prometheus
//	/                                         a page for people
//
// So GOPROXY=http://host:port is all that a go command needs, and GOSUMDB stays on: the go command asks the
// database through the proxy, and checks its answers and every module by itself.
//
// # Where the bytes come from
//
// Nothing is unpacked. What is small is in memory; a module's zip is a range of its layer, which the kernel
// sends from the blob's file. So memory does not grow with the bundles' zips, nor with the clients.
//
// # What is proven
//
// A server begins with bundles that were proven to the last byte, see [bundle.OpenSite]. Its names are those of
// that proof: a path is looked up, never opened, so that no path leads anywhere else. A path that would have to
// be repaired first, with an empty element or dots, is refused. What is not there is 404, with a text that says
// which bundles were searched and which versions they have: the go command shows it to its user, and goes on to
// the next proxy or the next candidate for a module's path.
// A blob whose file is not the one that was proven any more is proven again before it is sent, or is 503.
//
// Before anything is proven the [bundle.Trust] of the source asks who signed it. What somebody else put into a layout
// beside good bundles is left out, and told; where a bundle was named, it is an error.
//
// # What changes
//
// A new or replaced tag in a layout, another archive, a tag that moves in a registry: all that has not been proven of it
// is, while the old state is served, and then the new one is, from one request to the next. A request keeps its state
// to its end, files included. What does not verify, is not signed and would replace what is, or does not go together with
// the rest, is told once, and the old state stays. Of a place that is gone stays what is in memory; what is not is 503.
//
// # The registry
//
// A repository has what [oci.Copy] would take along for its bundles: manifests, which are in memory, blobs, referrers,
// and cosign's tags. Manifests and lists are answered by ociserver; it reads requests as the distribution specification
// has them, and needs only a backend. Blobs are ours: they want every kind of range, and to be sent by the kernel.
//
// # Who asks
//
// Clients are strangers. Headers have ten seconds and 64 KiB; a body is not read. An answer may take as long as it does,
// but a client that takes less than 256 KiB in a minute is dropped. Passwords are bcrypt's, and are known again by a
// keyed sum, as a go command sends hundreds of requests. The go command sends passwords over TLS only.
//
// # What was rejected
//
// One possibility would be [http.ServeMux], but it redirects paths to what it takes for their clean form, and a
// module path is none of its business. Another would be to unpack first and let a web server serve the files;
// then everything is on the disk twice, and what has been proven is not what is served. A write timeout would cut off slow clients,
// so deadlines are set piece by piece, which the kernel's sending of files still fits.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// ErrName says that a bundle cannot have the name that it would have in the registry.
var ErrName = errors.New("name of a repository")

// Options say what is served.
type Options struct {
	Sources  []Source
	Registry oci.Options        // how to reach registries
	Progress func(bundle.Event) // of the verification; nil: not told
	CacheDir string             // as in bundle.VerifyOptions
	Refresh  time.Duration      // how often a registry is asked whether a tag has moved; 0 is a minute

	TLS       *tls.Config  // nil: plain HTTP
	Users     *Htpasswd    // who may ask for anything but /healthz; nil: everybody
	AccessLog *slog.Logger // is told each answer; nil: none is

	// What happens while the server runs. Each may be nil.
	Renewed func(bundles []string) // the sources have changed, and this is served now
	Failed  func(error)            // a source cannot be read or has changed to what cannot be served; told once
}

// A Server answers for the bundles of its sources.
type Server struct {
	opts   Options
	meters *meters
	places []*place
	pages  chan struct{} // has one element for each page that is made or sent

	// Of the one goroutine that watches the places.
	retry          time.Time // when a failed renewal is tried again; zero: none has failed
	complaint      string    // that was told last of renewing
	usersComplaint string    // that was told last of reading the users again

	mu      sync.Mutex
	current *set
}

// New opens the sources, proves their bundles, and returns a server for them. The caller closes it.
func New(ctx context.Context, opts Options) (*Server, error) {
	if len(opts.Sources) == 0 {
		return nil, errors.New("serve: no bundle is named")
	}
	if opts.Refresh == 0 {
		opts.Refresh = time.Minute
	}
	s := &Server{opts: opts, pages: make(chan struct{}, maxPages)}
	s.meters = newMeters(s)
	for _, src := range opts.Sources {
		p, err := newPlace(src)
		if err != nil {
			return nil, err
		}
		s.places = append(s.places, p)
	}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Close gives up what was opened, once no request needs it any more.
func (s *Server) Close() {
	s.mu.Lock()
	current := s.current
	s.current = nil
	s.mu.Unlock()
	current.release()
	for _, p := range s.places {
		p.close()
	}
}

// Bundles are the names of the bundles that are served now, each with its digest.
func (s *Server) Bundles() []string {
	set := s.acquire()
	defer set.release()
	return set.names
}

// Digests are those of the bundles that are served now, by name.
func (s *Server) Digests() map[string]digest.Digest {
	set := s.acquire()
	defer set.release()
	digests := make(map[string]digest.Digest)
	for _, b := range set.served {
		digests[b.name] = b.index.Digest
	}
	return digests
}

// Modules is how many module versions are served now.
func (s *Server) Modules() int {
	set := s.acquire()
	defer set.release()
	return set.modules
}

// Env is what a go command's environment has to be now.
func (s *Server) Env() Env {
	set := s.acquire()
	defer set.release()
	return set.environment()
}

// acquire returns what is served now. The caller releases it: until then all of it can be read.
func (s *Server) acquire() *set {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current.retain()
	return s.current
}

// plain answers with a text for people.
func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, strings.TrimSuffix(text, "\n"))
}
