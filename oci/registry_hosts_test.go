package oci

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"oras.land/oras-go/v2/content"

	"github.com/goferry/goferry/oci/harbortest"
)

// elsewhere is a server under a name of its own, "localhost", which is as private as can be.
func elsewhere(t *testing.T, h http.Handler) (host string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	return "localhost:" + port, asked
}

// TestPrivateHosts holds that tokens and blobs come from another private host only if the user says so, and that blobs are
// asked for without credentials there.
func TestPrivateHosts(t *testing.T) {
	data, desc := randomBlob(smallBlob + 1)
	harbor := harbortest.New(harbortest.Harbor{User: testUser, Password: testPassword})
	blobs, askedForBlobs := elsewhere(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token went to the blobs")
		}
		w.Write(data)
	}))
	tokens, askedForTokens := elsewhere(t, harbor)
	for what, asked := range map[string]*atomic.Int64{"tokens": askedForTokens, "blobs": askedForBlobs} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case what == "tokens" && r.Header.Get("Authorization") == "":
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/service/token?for=us",service="x"`, tokens))
				refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who?")
			case what == "blobs" && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/"):
				http.Redirect(w, r, "http://"+blobs+r.URL.Path, http.StatusTemporaryRedirect)
			default:
				harbor.ServeHTTP(w, r)
			}
		}))
		defer srv.Close()
		for name, allowed := range map[string][]string{
			"refused": nil, "another is allowed": {"other.test"}, "allowed": {"LOCALHOST"}, "with its port": {tokens, blobs},
		} {
			t.Run(what+" "+name, func(t *testing.T) {
				opts := testOptions(t)
				opts.PlainHTTP, opts.Username, opts.Password, opts.AllowHosts = true, testUser, testPassword, allowed
				asked.Store(0)
				s := mustDo(Create(t.Context(), referenceTo(srv), opts))
				defer s.Close()
				err := s.Push(t.Context(), desc, bytes.NewReader(data))
				if err == nil {
					_, err = content.FetchAll(t.Context(), s, desc)
				}
				if what == "tokens" {
					loginErr := Login(t.Context(), referenceTo(srv).Host, opts, testUser, testPassword)
					if (loginErr == nil) != (err == nil) || errors.Is(loginErr, ErrUnauthorized) != errors.Is(err, ErrUnauthorized) {
						t.Errorf("Login = %v, want what Push said: %v", loginErr, err)
					}
				}
				private := (*HostError)(nil)
				refused := errors.As(err, &private) && errors.Is(err, ErrUnauthorized) && asked.Load() == 0
				if ok := err == nil && asked.Load() > 0; ok != strings.Contains("allowed with its port", name) || ok == refused {
					t.Errorf("err = %v after %d requests", err, asked.Load())
				}
			})
		}
	}
}

func TestIsPrivate(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "169.254.169.254": true, "100.100.100.200": true,
		"fd00::1": true, "fe80::1": true, "::ffff:10.0.0.1": true, "0.0.0.0": true,
		"8.8.8.8": false, "172.32.0.1": false, "2606:4700::1111": false,
	} {
		if got := isPrivate(netip.MustParseAddr(addr)); got != want {
			t.Errorf("isPrivate(%s) = %v", addr, got)
		}
	}
}
