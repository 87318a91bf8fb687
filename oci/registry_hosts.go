package oci

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hosts are where a registry may send its client, for a token or for a blob: to itself on any port, to the world, and
// to the private hosts that the user has named. To any other inside it may not: what is asked there, from where goferry
// runs, is not for a registry to say.
type hosts struct {
	registry string // its hostname
	allowed  []string
	alias    string // of the allowed token servers, see challenge
}

func newHosts(host string, allowed []string) *hosts {
	hostname := (&url.URL{Host: host}).Hostname()
	return &hosts{hostname, allowed, "/goferry-" + rand.Text() + "/"}
}

// A HostError is a private host to which a registry wants to send its client. It is [ErrUnauthorized].
type HostError struct {
	Registry, Host string
}

func (e *HostError) Error() string {
	return fmt.Sprintf("%s sends to the private host %q, which was not allowed", e.Registry, e.Host)
}

func (e *HostError) Unwrap() error { return ErrUnauthorized }

// check returns a [HostError] for u if its host is private or has an address that is. A name that cannot be looked up is
// left to who dials it: that may be a proxy.
func (h *hosts) check(ctx context.Context, u *url.URL) error {
	host := u.Hostname()
	if strings.EqualFold(host, h.registry) || h.allows(u) {
		return nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return ctx.Err()
	}
	if slices.ContainsFunc(addrs, isPrivate) {
		return &HostError{h.registry, u.Host}
	}
	return nil
}

func (h *hosts) allows(u *url.URL) bool {
	return slices.ContainsFunc(h.allowed, func(a string) bool {
		return strings.EqualFold(a, u.Host) || strings.EqualFold(a, u.Hostname())
	})
}

// sharedAddresses are those of carriers (RFC 6598), where clouds have services for machines.
var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10")

func isPrivate(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() ||
		addr.IsLinkLocalMulticast() || sharedAddresses.Contains(addr)
}

var realm = regexp.MustCompile(`realm="([^"]*)"`)

// challenge checks the token server that an answer names. oras-go takes none that is private, unless it has the
// registry's own name: one that is allowed gets an alias there.
func (h *hosts) challenge(ctx context.Context, resp *http.Response) error {
	says := resp.Header.Get("WWW-Authenticate")
	match := realm.FindStringSubmatchIndex(says)
	if resp.StatusCode != http.StatusUnauthorized || match == nil {
		return nil
	}
	u, err := url.Parse(says[match[2]:match[3]])
	if err != nil || u.Host == "" {
		return nil // oras-go refuses it
	}
	if h.allows(u) {
		path := h.alias + u.Host + u.EscapedPath()
		u.Host, u.Path, u.RawPath = h.registry, path, ""
		resp.Header.Set("WWW-Authenticate", says[:match[2]]+u.String()+says[match[3]:])
		return nil
	}
	return h.check(ctx, u)
}

// resolve gives a request for an alias its true URL.
func (h *hosts) resolve(req *http.Request) *http.Request {
	rest, ok := strings.CutPrefix(req.URL.Path, h.alias)
	if !ok {
		return req
	}
	req = req.Clone(req.Context())
	req.URL.Host, req.URL.Path, _ = strings.Cut(rest, "/")
	req.URL.Path, req.Host = "/"+req.URL.Path, req.URL.Host
	return req
}
