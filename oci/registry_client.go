package oci

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"
)

const (
	maxRedirects = 10

	// defaultUserAgent has "cosign" in it because Harbor lets signing tools see what is not signed yet.
	defaultUserAgent = "goferry (cosign-compatible)"
)

// client is what oras-go sends requests with: credentials over retries over one pool of connections.
type client struct {
	auth    *auth.Client
	base    http.RoundTripper
	secrets *secrets
	wait    time.Duration // the first pause before something is tried again
	busy    atomic.Bool   // the registry has said that it is asked too much
}

func newClient(host string, opts Options) (*client, error) {
	base := opts.Transport
	if base == nil {
		var err error
		if base, err = newTransport(opts); err != nil {
			return nil, err
		}
	}
	c := &client{base: base, secrets: &secrets{}, wait: cmp.Or(opts.RetryWait, 250*time.Millisecond)}
	credential, err := newCredential(host, opts)
	if err != nil {
		return nil, err
	}
	hosts := newHosts(host, opts.AllowHosts)
	watched := watch{base, c.secrets, hosts, newPatience(opts.StallTimeout), &c.busy}
	c.auth = &auth.Client{
		Client: &http.Client{
			Transport: again{
				whole: &retry.Transport{Base: watched, Policy: func() retry.Policy { return policy{c.wait} }},
				chunk: &retry.Transport{Base: watched, Policy: func() retry.Policy { return answered{policy{c.wait}} }},
			},
			CheckRedirect: checkRedirect(hosts, opts.PlainHTTP),
		},
		Cache:      auth.NewCache(),
		ClientID:   "goferry",
		Credential: c.secrets.watching(credential),
	}
	agent := opts.UserAgent
	if agent == "" {
		agent = defaultUserAgent
	}
	c.auth.SetUserAgent(agent)
	return c, nil
}

// newTransport keeps enough connections open for all blobs in flight; net/http's own would keep two.
func newTransport(opts Options) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = newPatience(opts.StallTimeout).dial(t.DialContext)
	t.ResponseHeaderTimeout = newPatience(opts.StallTimeout).whole()
	t.MaxIdleConnsPerHost = 32
	t.WriteBufferSize = 256 << 10
	t.ReadBufferSize = 256 << 10
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: opts.InsecureSkipTLSVerify}
	if opts.CAFile != "" {
		pool, err := CertPool(opts.CAFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	if opts.CertFile != "" || opts.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("client certificate: %w", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// CertPool returns the system's certificates and those of a PEM file.
func CertPool(file string) (*x509.CertPool, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read %s: no PEM certificate in it", file)
	}
	return pool, nil
}

func newCredential(host string, opts Options) (auth.CredentialFunc, error) {
	if opts.Username != "" || opts.Password != "" {
		return auth.StaticCredential(host, auth.Credential{Username: opts.Username, Password: opts.Password}), nil
	}
	store, err := credentialStore(opts, false)
	if errors.Is(err, errNoConfig) {
		return nil, nil // no home, no credentials
	}
	if err != nil {
		return nil, err
	}
	return credentials.Credential(store), nil
}

func checkRedirect(hosts *hosts, plainHTTP bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return fmt.Errorf("stopped after %d redirects", maxRedirects)
		}
		if req.URL.Scheme != "https" && !plainHTTP {
			return fmt.Errorf("redirect to %s without TLS refused", req.URL.Host)
		}
		return hosts.check(req.Context(), req.URL)
	}
}

// Do gives an upload the means to be repeated, and errors their kind.
func (c *client) Do(req *http.Request) (*http.Response, error) {
	if u, ok := req.Body.(*upload); ok {
		if u.desc.Size == 0 {
			req.Body = http.NoBody
		} else {
			req.Body = u.body()
		}
		if u.rewindable() {
			req.GetBody = func() (io.ReadCloser, error) { return u.body(), nil }
		}
	}
	resp, err := c.auth.Do(req)
	if err != nil {
		return nil, c.explain(req, err)
	}
	if isList(req) && resp.StatusCode == http.StatusOK {
		return resp, checkList(resp)
	}
	return resp, nil
}

// isList reports whether the answer is one that oras-go decodes as it comes.
func isList(req *http.Request) bool {
	return strings.HasSuffix(req.URL.Path, "/tags/list") || strings.Contains(req.URL.Path, "/referrers/sha256:")
}

// checkList holds a list to what holds for every other document.
func checkList(resp *http.Response) error {
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return mark(ErrNetwork, fmt.Errorf("GET %s: %w", place(resp.Request.URL), err))
	}
	if len(data) > maxDocument {
		return malformed("GET %s: more than %d bytes", place(resp.Request.URL), maxDocument)
	}
	if err := checkStrict(data, nil); err != nil {
		return fmt.Errorf("GET %s: %w", place(resp.Request.URL), err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

func (c *client) close() {
	if t, ok := c.base.(interface{ CloseIdleConnections() }); ok && c.base != http.DefaultTransport {
		t.CloseIdleConnections()
	}
}

// policy repeats what may go better the next time: six requests at most, and three minutes of what the registry says
// that it wants to be left alone.
type policy struct{ wait time.Duration }

const maxRetryAfter = time.Minute

func (p policy) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	const never = -1
	if attempt >= 5 || errors.Is(err, context.Canceled) {
		return never, nil
	}
	if err == nil && resp.StatusCode == http.StatusInternalServerError && attempt >= 1 {
		return never, nil // Harbor's answer to content it does not like
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && attempt >= 1 {
		return never, nil // a minute each
	}
	if again, err := retry.DefaultPredicate(resp, err); err != nil || !again {
		return never, nil
	}
	if after := retryAfter(resp); after > 0 {
		if attempt >= 3 && after >= maxRetryAfter {
			return never, nil
		}
		return min(after, maxRetryAfter), nil
	}
	return retry.ExponentialBackoff(p.wait, 2, 0.1)(attempt, nil), nil
}

// again repeats requests. A chunk that was cut is not the one to send next.
type again struct{ whole, chunk http.RoundTripper }

func (a again) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPatch {
		return a.chunk.RoundTrip(req)
	}
	return a.whole.RoundTrip(req)
}

// answered is a policy for requests that got an answer.
type answered struct{ policy }

func (a answered) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	if err != nil {
		return -1, nil
	}
	return a.policy.Retry(attempt, resp, nil)
}

// retryAfter is how long the registry wants to be left alone, in seconds or until a date; 0 if it does not say.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	says := resp.Header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(says, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(says); err == nil {
		return time.Until(date)
	}
	return 0
}
