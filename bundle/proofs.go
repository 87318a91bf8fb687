package bundle

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// proofs remembers what was proven for layers, so that a layer whose bytes are known is
// hashed but not inflated again. The key is the layer's own digest: it covers every byte that
// the proof was about.
//
// The file has one line a proof, "<layer digest> <sum> [<diffID>]", and is only ever appended
// to; a line that cannot be read is no proof. Whoever can write to it can make this machine
// believe wrong sums, so it lies in the user's own cache directory.
type proofs struct {
	path  string // "" keeps nothing
	mu    sync.Mutex
	known map[digest.Digest]proof
	fresh strings.Builder
}

type proof struct {
	sum    string        // "h1:" of the module zip
	diffID digest.Digest // of a compressed layer; "" for others
}

func openProofs(cacheDir string) *proofs {
	p := &proofs{known: make(map[digest.Digest]proof)}
	if cacheDir == "" {
		return p
	}
	p.path = filepath.Join(cacheDir, "proofs")
	f, err := os.Open(p.path)
	if err != nil {
		return p
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 || len(fields) > 3 || digest.Digest(fields[0]).Validate() != nil || !strings.HasPrefix(fields[1], "h1:") {
			continue
		}
		proven := proof{sum: fields[1]}
		if len(fields) == 3 {
			proven.diffID = digest.Digest(fields[2])
		}
		p.known[digest.Digest(fields[0])] = proven
	}
	return p
}

func (p *proofs) get(layer digest.Digest) (proof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	proven, ok := p.known[layer]
	return proven, ok
}

func (p *proofs) put(layer digest.Digest, proven proof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.known[layer]; ok {
		return
	}
	p.known[layer] = proven
	fmt.Fprintf(&p.fresh, "%s %s %s\n", layer, proven.sum, proven.diffID)
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
