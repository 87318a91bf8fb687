package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// explain gives an error of a request that had no answer its kind and a text without the query, which may be secret.
func (c *client) explain(req *http.Request, err error) error {
	if ctxErr := req.Context().Err(); ctxErr != nil {
		return ctxErr
	}
	var response *errcode.ErrorResponse
	if errors.As(err, &response) { // of the token server
		return err
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		at := req.URL
		if u, parseErr := url.Parse(asked.URL); parseErr == nil {
			at = u
		}
		return mark(ErrNetwork, fmt.Errorf("%s %s: %w", strings.ToUpper(asked.Op), place(at), asked.Err))
	}
	// What remains is the client's own: no credentials, or a token server it does not trust with them.
	return mark(ErrUnauthorized, fmt.Errorf("%s %s: %s", req.Method, place(req.URL), c.secrets.redact(err.Error())))
}

func place(u *url.URL) string { return u.Host + u.EscapedPath() }

// explain gives what oras-go reports its kind and a text on one line.
func (r *repository) explain(err error) error {
	var response *errcode.ErrorResponse
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &response):
		return r.client.explainResponse(response)
	case errors.Is(err, ErrNotFound):
		return mark(ErrNotFound, fmt.Errorf("%s: %w", r, err))
	case errors.Is(err, ErrNetwork), errors.Is(err, ErrUnauthorized), errors.Is(err, ErrDigest):
		return err
	}
	// An answer that contradicts itself or what was asked for.
	return malformed("%s: %s", r, r.client.secrets.redact(err.Error()))
}

// explainResponse makes an error of an answer. What the registry says is quoted, short and without secrets.
func (c *client) explainResponse(e *errcode.ErrorResponse) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", e.Method, place(e.URL), e.StatusCode, http.StatusText(e.StatusCode))
	for _, inner := range e.Errors {
		const longest = 300
		text := inner.Error()
		if len(text) > longest {
			text = text[:longest] + "…"
		}
		fmt.Fprintf(&b, ": %q", c.secrets.redact(text))
	}
	return mark(kindOfResponse(e), errors.New(b.String()))
}

// errRefused is an answer that no caller acts on.
var errRefused = errors.New("refused by the registry")

func kindOfResponse(e *errcode.ErrorResponse) error {
	for _, inner := range e.Errors {
		text := strings.ToLower(inner.Message)
		if strings.Contains(text, "quota") || strings.Contains(text, "storage resource") { // Harbor has the latter
			return ErrNoSpace
		}
		if inner.Code == errcode.ErrorCodeDigestInvalid || inner.Code == errcode.ErrorCodeSizeInvalid {
			return ErrDigest
		}
	}
	switch status := e.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrUnauthorized
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusInsufficientStorage:
		return ErrNoSpace
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return ErrNetwork
	}
	return errRefused
}

// secrets are what must not be in an error text, even if a registry puts it there.
type secrets struct {
	mu     sync.Mutex
	values []string
}

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if len(v) >= 4 && !slices.Contains(s.values, v) {
			s.values = append(s.values, v)
		}
	}
	if over := len(s.values) - 100; over > 0 {
		s.values = s.values[over:] // tokens that are long over
	}
}

func (s *secrets) redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.values {
		text = strings.ReplaceAll(text, v, "xxxxx")
	}
	return text
}

// remember is the credential function f, and what it returns is secret.
func (s *secrets) remember(f auth.CredentialFunc) auth.CredentialFunc {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, host string) (auth.Credential, error) {
		cred, err := f(ctx, host)
		s.add(cred.Password, cred.RefreshToken, cred.AccessToken)
		return cred, err
	}
}

// watch sees every request, also those for tokens. It learns the secrets in them, and sees that answers keep coming.
type watch struct {
	base     http.RoundTripper
	secrets  *secrets
	patience patience
}

func (w watch) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		w.secrets.add(token)
	}
	return w.patience.roundTrip(w.base, req)
}
