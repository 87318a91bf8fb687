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
	switch {
	case errors.Is(err, oci.ErrUnauthorized):
		return "", withHint(err, "the go command needs it as well: https://NAME:PASSWORD@HOST, or the machine in ~/.netrc")
	case err != nil && !errors.Is(err, oci.ErrNetwork):
		return "", withHint(err, "give the URL that \"goferry serve\" has printed, or the directory of \"goferry unpack\"")
	case err != nil:
		return "", err
	}
	return bundle.ProxyEnv(strings.TrimSuffix(url, "/"), e.SumDB, e.NoSumDB, shell)
}
