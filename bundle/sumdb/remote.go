package sumdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// ErrAuth says that the database, or a proxy for it, refused access. It is
// [ErrNetwork] as well.
var ErrAuth = fmt.Errorf("%w: no access", ErrNetwork)

// A remote reads files of the database from wherever the go command would.
type remote struct {
	name     string
	proxies  []proxy
	client   http.Client
	netrc    []netrcLine
	inFlight chan struct{}

	once    sync.Once
	base    *url.URL
	baseErr error
}

func newRemote(name, base string, opts Options) (*remote, error) {
	r := &remote{
		name:     name,
		client:   http.Client{Transport: opts.Transport, Timeout: time.Minute},
		inFlight: make(chan struct{}, inFlight),
	}
	if opts.Netrc != "" {
		if data, err := os.ReadFile(opts.Netrc); err == nil {
			r.netrc = parseNetrc(string(data))
		}
	}
	if base != "" {
		u, err := url.Parse(base)
		if err != nil {
			return nil, fmt.Errorf("invalid GOSUMDB URL: %w", err)
		}
		r.base = u
		return r, nil
	}
	var err error
	r.proxies, err = parseGOPROXY(opts.GOPROXY)
	return r, err
}

// read returns the file name of the database. Its error is fs.ErrNotExist or
// [ErrNetwork] to errors.Is.
func (r *remote) read(name string) ([]byte, error) {
	r.once.Do(r.findBase)
	if r.baseErr != nil {
		return nil, r.baseErr
	}
	return r.get(r.base.JoinPath(name))
}

// findBase asks the proxies in turn whether they answer for the database, by
// the rules of cmd/go/internal/modfetch.
func (r *remote) findBase() {
	if r.base != nil {
		return
	}
	var best error
	for _, p := range r.proxies {
		if p.url == nil {
			if p.direct {
				best = nil
			}
			break
		}
		base := p.url.JoinPath("sumdb", r.name)
		_, err := r.get(base.JoinPath("supported"))
		if err == nil {
			r.base = base
			return
		}
		missing := errors.Is(err, fs.ErrNotExist)
		if !missing {
			best = err
		}
		if !p.onAnyError && !missing {
			break
		}
	}
	r.baseErr = best
	r.base = &url.URL{Scheme: "https"}
	r.base.Host, r.base.Path, _ = strings.Cut(r.name, "/")
}

// maxFile is well above any lookup or tile.
const maxFile = 1 << 20

func (r *remote) get(u *url.URL) ([]byte, error) {
	r.inFlight <- struct{}{}
	defer func() { <-r.inFlight }()
	if u.Scheme == "file" {
		return readFileURL(u)
	}
	req, err := http.NewRequest("GET", u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	if u.User == nil {
		for _, l := range r.netrc {
			if l.machine == u.Hostname() && u.Scheme == "https" {
				req.SetBasicAuth(l.login, l.password)
			}
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	defer resp.Body.Close()
	what := "GET " + u.Redacted() + ": " + resp.Status
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("%s: %w", what, fs.ErrNotExist)
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return nil, fmt.Errorf("%w: %s", ErrAuth, what)
	default:
		return nil, fmt.Errorf("%w: %s", ErrNetwork, what)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%w: GET %s: %w", ErrNetwork, u.Redacted(), err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%w: GET %s: answer longer than %d bytes", ErrNetwork, u.Redacted(), maxFile)
	}
	return data, nil
}

func readFileURL(u *url.URL) ([]byte, error) {
	name := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		name = strings.TrimPrefix(name, `\`)
	}
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNetwork, err)
	}
	return data, err
}
