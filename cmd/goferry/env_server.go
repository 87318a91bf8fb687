package main

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/serve"
	"github.com/goferry/goferry/oci"
)

// serverEnv asks a server for the environment. The URL becomes GOPROXY as it was given.
func serverEnv(c *cli.Context, url string, shell bundle.Shell) (string, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if file := c.String("ca-file"); file != "" {
		pool, err := oci.CertPool(file)
		if err != nil {
			return "", err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client := &http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	e, err := serve.FetchEnv(c.Context, client, url)
	if errors.Is(err, oci.ErrUnauthorized) {
		err = withHint(err, "the go command needs it as well: https://NAME:PASSWORD@HOST, or the machine in ~/.netrc")
	}
	if err != nil {
		return "", err
	}
	return bundle.ProxyEnv(strings.TrimSuffix(url, "/"), e.SumDB, e.NoSumDB, shell)
}
