package serve

import (
	"fmt"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// served is a bundle under one of its names.
type served struct {
	name       string // for messages
	repository string
	tag        string // "" where only a digest was named
	index      ocispec.Descriptor
	platforms  []bundle.Platform
	store      *sharedStore
	signers    string // for people; "" where nobody knows
}

// String has as much of the digest as tells bundles apart for people.
func (b served) String() string {
	if b.signers != "" {
		return fmt.Sprintf("%s (%.19s…, signed by %s)", b.name, b.index.Digest, b.signers)
	}
	return fmt.Sprintf("%s (%.19s…)", b.name, b.index.Digest)
}

// A set is one state of what is served. It does not change, and its stores stay open while it is in use.
type set struct {
	site     *bundle.Site
	registry *registry
	names    []string            // of bundles
	served   []pageSource        // the same, for the page
	versions map[string][]string // that are carried, by module path
	modules  int                 // versions with a zip

	stores []*sharedStore // each once
	users  atomic.Int64
}

// A pageSource is a bundle with what the page says of it.
type pageSource struct {
	served
	info *bundle.Info
}

// newSet returns a set with one user.
func newSet(site *bundle.Site, registry *registry, entries []entry) *set {
	s := &set{site: site, registry: registry, versions: make(map[string][]string)}
	s.users.Store(1)
	known := make(map[*sharedStore]bool)
	for _, b := range entries {
		s.names = append(s.names, b.String())
		s.served = append(s.served, pageSource{b.served, b.verified.Info()})
		if !known[b.store] {
			known[b.store] = true
			b.store.retain()
			s.stores = append(s.stores, b.store)
		}
	}
	for _, m := range site.Modules() {
		for _, v := range m.Versions {
			s.versions[m.Path] = append(s.versions[m.Path], v.Version)
			if v.Sum != "" { // else there is just its go.mod file, which the graph needs
				s.modules++
			}
		}
	}
	return s
}

func (s *set) retain() { s.users.Add(1) }

func (s *set) release() {
	if s.users.Add(-1) == 0 {
		for _, store := range s.stores {
			store.release()
		}
	}
}

// A sharedStore is closed by the last of its users.
type sharedStore struct {
	oci.Store
	users atomic.Int64
}

// shared returns the store with one user.
func shared(store oci.Store) *sharedStore {
	s := &sharedStore{Store: store}
	s.users.Store(1)
	return s
}

func (s *sharedStore) retain() { s.users.Add(1) }

func (s *sharedStore) release() {
	if s.users.Add(-1) == 0 {
		s.Store.Close() // it was only read
	}
}
