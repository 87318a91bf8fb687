package rehearse

import (
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// maxRequests bounds what is remembered of a command that asks for ever.
const maxRequests = 100_000

// A proxy hands out a GOPROXY tree and remembers what it was asked for.
type proxy struct {
	tree *os.Root

	mu    sync.Mutex
	asked map[string]bool // by name below the tree: whether it was there
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	f, err := p.open(name)
	p.note(name, err == nil)
	if err != nil {
		http.Error(w, "not in the bundle", http.StatusNotFound)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, f)
}

// open opens a regular file.
func (p *proxy) open(name string) (*os.File, error) {
	f, err := p.tree.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, os.ErrNotExist
	}
	return f, nil
}

func (p *proxy) note(name string, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) < maxRequests {
		p.asked[name] = found
	}
}

// requests returns what was asked for until now.
func (p *proxy) requests() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}
