package bundle

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// proofs remembers what was proven for layers, so that a layer whose bytes are known is
// hashed but not inflated again. The key is the layer's own digest, which covers every byte that
// the proof was about, and the module that it was proven to be: the sum of a toolchain depends on
// its version, which stands nowhere in the layer.
//
// The file has one line a proof, "<layer digest> <path@version> <sum> [<diffID>]", and is only ever
// appended to; a line that cannot be read is no proof. Whoever can write to it can make this machine
// believe wrong sums, so it lies in the user's own cache directory.
type proofs struct {
	path  string // "" keeps nothing
	mu    sync.Mutex
	known map[proofKey]proof
	fresh strings.Builder
}

type proofKey struct {
	layer digest.Digest
	name  string // "path@version"
}

type proof struct {
	sum    string        // "h1:" of the module zip
	diffID digest.Digest // of a compressed layer; "" for others
}

func openProofs(cacheDir string) *proofs {
	p := &proofs{known: make(map[proofKey]proof)}
	if cacheDir == "" {
		return p
	}
	name := filepath.Join(cacheDir, "proofs")
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return p // to open a pipe waits for somebody who writes into it
	}
	p.path = name
	f, err := os.Open(p.path)
	if err != nil {
		return p
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 3 || len(fields) > 4 || digest.Digest(fields[0]).Validate() != nil || !strings.HasPrefix(fields[2], "h1:") {
			continue
		}
		proven := proof{sum: fields[2]}
		if len(fields) == 4 {
			proven.diffID = digest.Digest(fields[3])
		}
		p.known[proofKey{digest.Digest(fields[0]), fields[1]}] = proven
	}
	return p
}

func (p *proofs) get(layer digest.Digest, name string) (proof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	proven, ok := p.known[proofKey{layer, name}]
	return proven, ok
}

// has says whether a layer was proven to be what its descriptor says.
func (p *proofs) has(l proofLayer) bool {
	proven, ok := p.get(l.desc.Digest, l.desc.Annotations[AnnotationModule])
	return ok && proven.sum == l.desc.Annotations[AnnotationSum] && (l.diffID == "" || l.diffID == cmp.Or(proven.diffID, l.desc.Digest))
}

func (p *proofs) put(layer digest.Digest, name string, proven proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := proofKey{layer, name}
	if _, ok := p.known[key]; ok {
		return
	}
	p.known[key] = proven
	fmt.Fprintf(&p.fresh, "%s %s %s %s\n", layer, name, proven.sum, proven.diffID)
}

// save appends what was learned, in one write. It is a cache: failure costs time, nothing else.
func (p *proofs) save() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.path == "" || p.fresh.Len() == 0 {
		return
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return
	}
	f, err := os.OpenFile(p.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.WriteString(p.fresh.String()); err == nil {
		p.fresh.Reset()
	}
}

// saveProofs is save for all of the bundles.
func saveProofs(bundles []SiteBundle) {
	for _, b := range bundles {
		b.proofs.save()
	}
}
