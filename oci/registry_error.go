package oci

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

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
	var host *HostError
	if errors.As(err, &host) {
		return fmt.Errorf("%s %s: %w", req.Method, place(req.URL), host)
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
	return mark(ErrUnauthorized, fmt.Errorf("%s %s: %s", req.Method, place(req.URL), c.secrets.clean(err.Error())))
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
	return malformed("%s: %s", r, r.client.secrets.clean(err.Error()))
}

// A ResponseError is an answer by which a registry, or its token server, refuses what was asked. What goes wrong is told
// by its kind; the fields are for advice.
type ResponseError struct {
	Method     string
	URL        *url.URL // without a query
	StatusCode int
	Codes      []string // of the distribution specification, or of this registry alone
	Username   string   // with whose password it was asked; "" if nobody's

	kind error
	text string
}

func (e *ResponseError) Error() string { return e.text }
func (e *ResponseError) Unwrap() error { return e.kind }

// explainResponse makes an error of an answer. What the registry says is quoted, short and without secrets.
func (c *client) explainResponse(e *errcode.ErrorResponse) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", e.Method, place(e.URL), e.StatusCode, http.StatusText(e.StatusCode))
	for i, inner := range e.Errors {
		const most, longest = 5, 300
		if i == most {
			b.WriteString(": …")
			break
		}
		text := c.secrets.redact(inner.Error()) // before it is cut: half a password is too much
		if len(text) > longest {
			text = strings.ToValidUTF8(text[:longest], "") + "…"
		}
		fmt.Fprintf(&b, ": %q", text)
	}
	answer := &ResponseError{
		Method: e.Method, URL: &url.URL{Scheme: e.URL.Scheme, Host: e.URL.Host, Path: e.URL.Path},
		StatusCode: e.StatusCode, Username: c.secrets.user(), kind: kindOfResponse(e), text: b.String(),
	}
	for _, inner := range e.Errors {
		answer.Codes = append(answer.Codes, inner.Code)
	}
	return answer
}

var (
	// errRefused is an answer that no caller acts on.
	errRefused = errors.New("refused by the registry")

	// errLost is an upload that is no more, or not where the client believes it is: a line was cut.
	errLost = fmt.Errorf("upload: %w", ErrNetwork)

	// errMissing is a manifest that is not taken for want of what it names.
	errMissing = fmt.Errorf("named by the manifest: %w", ErrNotFound)
)

// missingCodes are how registries say errMissing: distribution and Harbor, zot, go-containerregistry.
var missingCodes = []string{"MANIFEST_BLOB_UNKNOWN", errcode.ErrorCodeBlobUnknown, errcode.ErrorCodeManifestUnknown}

func kindOfResponse(e *errcode.ErrorResponse) error {
	for _, inner := range e.Errors {
		text := strings.ToLower(inner.Message)
		if strings.Contains(text, "quota") || strings.Contains(text, "storage resource") { // Harbor has the latter
			return ErrNoSpace
		}
		if inner.Code == errcode.ErrorCodeDigestInvalid || inner.Code == errcode.ErrorCodeSizeInvalid {
			return ErrDigest
		}
		if e.Method == http.MethodPut && strings.Contains(e.URL.Path, "/manifests/") && slices.Contains(missingCodes, inner.Code) {
			return errMissing
		}
	}
	switch status := e.StatusCode; {
	case strings.Contains(e.URL.Path, "/blobs/uploads/") && isLost(e):
		return errLost
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

func isLost(e *errcode.ErrorResponse) bool {
	return e.StatusCode == http.StatusRequestedRangeNotSatisfiable || slices.ContainsFunc(e.Errors, func(inner errcode.Error) bool {
		return inner.Code == errcode.ErrorCodeBlobUploadUnknown || inner.Code == errcode.ErrorCodeBlobUploadInvalid
	})
}

// secrets are what must not be in an error text, even if a registry puts it there.
type secrets struct {
	mu        sync.Mutex
	username  string // is none, but known where they are
	passwords []string
	tokens    []string
}

func (s *secrets) user() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.username
}

func (s *secrets) addToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = remember(s.tokens, token)
}

// addPassword adds a password and the forms in which it is sent.
func (s *secrets) addPassword(password string) {
	forms := []string{password, url.QueryEscape(password), url.PathEscape(password)}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		forms = append(forms, encoding.EncodeToString([]byte(password)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range forms {
		s.passwords = remember(s.passwords, f)
	}
}

// remember adds value to the last hundred: older tokens are long over.
func remember(values []string, value string) []string {
	if len(value) < 4 || slices.Contains(values, value) {
		return values
	}
	values = append(values, value)
	return values[max(0, len(values)-100):]
}

func (s *secrets) redact(text string) string {
	s.mu.Lock()
	values := slices.Concat(s.passwords, s.tokens)
	s.mu.Unlock()
	// The longest first: one may be a part of another.
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, v := range values {
		text = strings.ReplaceAll(text, v, "xxxxx")
	}
	return text
}

// clean makes a foreign text fit to stand in an error: without secrets, and on one line.
func (s *secrets) clean(text string) string { return oneLine(s.redact(text)) }

// oneLine escapes what is not printable.
func oneLine(text string) string {
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// watching is the credential function f, and what it returns is secret.
func (s *secrets) watching(f auth.CredentialFunc) auth.CredentialFunc {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, host string) (auth.Credential, error) {
		cred, err := f(ctx, host)
		for _, secret := range []string{cred.Password, cred.RefreshToken, cred.AccessToken} {
			s.addPassword(secret)
		}
		s.mu.Lock()
		s.username = cred.Username
		s.mu.Unlock()
		return cred, err
	}
}

// watch sees every request, also those for tokens. It learns the secrets in them, and sees that answers keep coming and
// send nowhere they may not.
type watch struct {
	base     http.RoundTripper
	secrets  *secrets
	hosts    *hosts
	patience patience
	busy     *atomic.Bool
}

func (w watch) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok {
		w.secrets.addToken(token)
	}
	resp, err := w.patience.roundTrip(w.base, w.hosts.resolve(req))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
		w.busy.Store(true)
	}
	if err := w.hosts.challenge(req.Context(), resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}
