package serve

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A registry answers for repositories what ociserver asks. Blobs are not among it, which that library copies through
// memory and in few kinds of ranges, nor are referrers: where there are none it says null instead of [].
type registry struct {
	*ociregistry.Funcs // nil: whatever is not defined here is not supported

	repositories map[string]*repository
	server       http.Handler
}

// newRegistry returns a registry without repositories.
func newRegistry() *registry {
	g := &registry{repositories: make(map[string]*repository)}
	g.server = ociserver.New(g, nil)
	return g
}

// ServeHTTP speaks the distribution specification.
func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Docker-Distribution-API-Version", "registry/2.0")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if name, d, ok := digestPath(r.URL.Path, "/blobs/"); ok {
		g.blob(w, r, name, d)
		return
	}
	if name, d, ok := digestPath(r.URL.Path, "/referrers/"); ok {
		g.listReferrers(w, r, name, d)
		return
	}
	h.Set("Content-Type", "application/json") // of lists; manifests have their own
	g.server.ServeHTTP(w, r)
}

// digestPath reads /v2/<repository><kind><digest>.
func digestPath(path, kind string) (repository string, d digest.Digest, ok bool) {
	path, ok = strings.CutPrefix(path, "/v2/")
	i := strings.LastIndex(path, kind)
	if !ok || i < 0 {
		return "", "", false
	}
	d = digest.Digest(path[i+len(kind):])
	return path[:i], d, d.Validate() == nil
}

func (g *registry) repository(name string) (*repository, error) {
	if r, ok := g.repositories[name]; ok {
		return r, nil
	}
	return nil, ociregistry.ErrNameUnknown
}

// Repositories is for /v2/_catalog.
func (g *registry) Repositories(_ context.Context, after string) iter.Seq2[string, error] {
	return listed(slices.Sorted(maps.Keys(g.repositories)), after)
}

func (g *registry) Tags(_ context.Context, name, after string) iter.Seq2[string, error] {
	r, err := g.repository(name)
	if err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return listed(slices.Sorted(maps.Keys(r.tags)), after)
}

// listed are the names behind one of them.
func listed(names []string, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, name := range names {
			if name > after && !yield(name, nil) {
				return
			}
		}
	}
}

func (g *registry) ResolveManifest(_ context.Context, name string, d ociregistry.Digest) (ocispec.Descriptor, error) {
	m, err := g.manifest(name, d)
	return m.desc, err
}

func (g *registry) GetManifest(_ context.Context, name string, d ociregistry.Digest) (ociregistry.BlobReader, error) {
	m, err := g.manifest(name, d)
	if err != nil {
		return nil, err
	}
	return ocimem.NewBytesReader(m.data, m.desc), nil
}

func (g *registry) manifest(name string, d ociregistry.Digest) (manifest, error) {
	r, err := g.repository(name)
	if err != nil {
		return manifest{}, err
	}
	m, ok := r.manifests[d]
	if !ok {
		return manifest{}, ociregistry.ErrManifestUnknown
	}
	return m, nil
}

func (g *registry) ResolveTag(ctx context.Context, name, tag string) (ocispec.Descriptor, error) {
	r, err := g.repository(name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	d, ok := r.tags[tag]
	if !ok {
		return ocispec.Descriptor{}, ociregistry.ErrManifestUnknown
	}
	return g.ResolveManifest(ctx, name, d)
}

func (g *registry) GetTag(ctx context.Context, name, tag string) (ociregistry.BlobReader, error) {
	desc, err := g.ResolveTag(ctx, name, tag)
	if err != nil {
		return nil, err
	}
	return g.GetManifest(ctx, name, desc.Digest)
}
