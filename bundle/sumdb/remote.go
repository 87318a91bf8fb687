package sumdb

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ErrAuth says that the database, or a proxy for it, refused access. It is
// [ErrNetwork] as well.
var ErrAuth = fmt.Errorf("%w: no access", ErrNetwork)

// knownKeys are the databases that the go command knows by name.
var knownKeys = map[string]string{
	"sum.golang.org": "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
}

// VerifierKey returns the name and the verifier key that a GOSUMDB setting
// stands for, "" for both if it is "off".
func VerifierKey(gosumdb string) (name, key string, err error) {
	if gosumdb == "off" {
		return "", "", nil
	}
	name, key, _, err = parseGOSUMDB(gosumdb)
	return name, key, err
}

// parseGOSUMDB reads "name[+hash+key] [url]" as the go command does.
func parseGOSUMDB(s string) (name, key, base string, err error) {
	if s == "sum.golang.google.cn" {
		s = "sum.golang.org https://sum.golang.google.cn"
	}
	f := strings.Fields(s)
	if len(f) == 0 || len(f) > 2 {
		return "", "", "", fmt.Errorf("invalid GOSUMDB %q", s)
	}
	key = f[0]
	if known := knownKeys[key]; known != "" {
		key = known
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		return "", "", "", fmt.Errorf("invalid GOSUMDB %q: %w", s, err)
	}
	// The name becomes a directory and a host: no funny business in it.
	name = v.Name()
	u, err := url.Parse("https://" + name)
	if err != nil || u.Host == "" || u.String() != "https://"+name || path.Clean(name) != name || !fs.ValidPath(name) || strings.Contains(name, `\`) {
		return "", "", "", fmt.Errorf("invalid GOSUMDB name %q (must be host[/path])", name)
	}
	if len(f) == 2 {
		base = f[1]
	}
	return name, key, base, nil
}

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

// A proxy is one entry of GOPROXY.
type proxy struct {
	url        *url.URL // nil for "direct" and "off"
	direct     bool
	onAnyError bool // go on to the next after any error, not only after 404 and 410
}

func parseGOPROXY(list string) ([]proxy, error) {
	var all []proxy
	for list != "" {
		entry, rest, sep := list, "", byte(0)
		if i := strings.IndexAny(list, ",|"); i >= 0 {
			entry, rest, sep = list[:i], list[i+1:], list[i]
		}
		list = rest
		switch entry = strings.TrimSpace(entry); entry {
		case "":
			continue
		case "direct", "off":
			return append(all, proxy{direct: entry == "direct"}), nil
		}
		if strings.ContainsAny(entry, ".:/") && !strings.Contains(entry, ":/") && !filepath.IsAbs(entry) && !path.IsAbs(entry) {
			entry = "https://" + entry
		}
		u, err := url.Parse(entry)
		if err != nil {
			return nil, fmt.Errorf("invalid GOPROXY: %w", err)
		}
		all = append(all, proxy{url: u, onAnyError: sep == '|'})
	}
	return all, nil
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

type netrcLine struct{ machine, login, password string }

// parseNetrc reads the machine entries of a netrc file; like the go command it
// takes no notice of macros and of the default entry.
func parseNetrc(data string) []netrcLine {
	var all []netrcLine
	var l netrcLine
	inMacro := false
	for line := range strings.Lines(data) {
		f := strings.Fields(line)
		if inMacro {
			inMacro = len(f) > 0
			continue
		}
		for i := 0; i < len(f)-1; i += 2 {
			// A login or password may begin the entry of the next machine.
			switch f[i] {
			case "machine":
				l = netrcLine{machine: f[i+1]}
			case "login":
				l.login = f[i+1]
			case "password":
				l.password = f[i+1]
			case "macdef":
				inMacro = true
			case "default":
				return all
			}
			if l.machine != "" && l.login != "" && l.password != "" {
				all = append(all, l)
				l = netrcLine{}
			}
		}
		if len(f) > 0 && f[0] == "default" {
			return all
		}
	}
	return all
}
