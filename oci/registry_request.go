package oci

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

// url is where the repository has what path names, for requests that oras-go does not make.
func (r *repository) url(path string) string {
	scheme := "https://"
	if r.repo.PlainHTTP {
		scheme = "http://"
	}
	return scheme + r.repo.Reference.Host() + "/v2/" + r.repo.Reference.Repository + "/" + path
}

func (r *repository) newRequest(ctx context.Context, method, to string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(r.scope(ctx), method, to, body)
	if err != nil {
		return nil, malformed("%s: %s", r, r.client.secrets.clean(err.Error()))
	}
	return req, nil
}

// refusal makes an error of an answer and closes it.
func (r *repository) refusal(resp *http.Response) error {
	defer resp.Body.Close()
	const longest = 8 << 10
	said := struct {
		Errors errcode.Errors `json:"errors"`
	}{}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, longest))
	json.Unmarshal(data, &said) // what is not the specification's JSON is left out
	return r.client.explainResponse(&errcode.ErrorResponse{
		Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode, Errors: said.Errors,
	})
}

// originOf is the scheme, host and port of u: what credentials are for.
func originOf(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
