package oci

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

var errNoConfig = errors.New("no Docker config, and no home directory for one")

// credentialStore is the Docker config, or the credential helper that it names.
// A helper that the config does not name is looked for only to keep a password, not to ask it for one.
func credentialStore(opts Options, keep bool) (credentials.Store, error) {
	how := credentials.StoreOptions{AllowPlaintextPut: true, DetectDefaultNativeStore: keep}
	if opts.DockerConfig != "" {
		return credentials.NewStore(opts.DockerConfig, how)
	}
	if _, err := os.UserHomeDir(); err != nil {
		return nil, errNoConfig
	}
	return credentials.NewStoreFromDocker(how)
}

// Login asks the registry whether it knows the user, and keeps the password in the Docker config
// or in the credential helper of the system.
func Login(ctx context.Context, host string, opts Options, username, password string) error {
	reg, err := remote.NewRegistry(host)
	if err != nil {
		return mark(ErrUsage, fmt.Errorf("malformed host %q", host))
	}
	store, err := credentialStore(opts, true)
	if err != nil {
		return err
	}
	c, err := newClient(host, opts)
	if err != nil {
		return err
	}
	defer c.close()
	c.secrets.addPassword(password)
	c.secrets.username = username
	reg.PlainHTTP = opts.PlainHTTP
	reg.Client = c.auth
	err = credentials.Login(ctx, store, reg, auth.Credential{Username: username, Password: password})
	var response *errcode.ErrorResponse
	if errors.As(err, &response) {
		return c.explainResponse(response)
	}
	var asked *url.Error
	var private *HostError
	switch {
	case errors.As(err, &private):
		err = private
	case errors.As(err, &asked) && ctx.Err() == nil:
		err = mark(ErrNetwork, asked.Err)
	}
	if err != nil {
		return fmt.Errorf("login %s: %w", host, err)
	}
	return nil
}

// Logout forgets the password of a registry.
func Logout(ctx context.Context, host string, opts Options) error {
	store, err := credentialStore(opts, false)
	if err != nil {
		return err
	}
	if err := credentials.Logout(ctx, store, host); err != nil {
		return fmt.Errorf("logout %s: %w", host, err)
	}
	return nil
}
