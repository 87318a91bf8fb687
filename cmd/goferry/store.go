package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/oci"
)

// defaultTag is the tag of a reference without one, as everywhere else.
const defaultTag = "latest"

// maxPassword bounds what is read as a password; tokens of cloud registries have 2 to 4 KiB.
const maxPassword = 64 << 10

// registryFlags are the flags of every command that may talk to a registry.
func registryFlags() []cli.Flag {
	const category = "Registries"
	return []cli.Flag{
		&cli.BoolFlag{Name: "plain-http", Category: category, Usage: "talk to registries without TLS"},
		&cli.StringFlag{Name: "ca-file", Category: category, Usage: "trust the PEM certificates in `FILE` as well"},
		&cli.StringFlag{Name: "cert-file", Category: category, Usage: "identify with the PEM certificate in `FILE`"},
		&cli.StringFlag{Name: "key-file", Category: category, Usage: "the PEM key of --cert-file, in `FILE`"},
		&cli.StringFlag{Name: "username", Aliases: []string{"u"}, Category: category, Usage: "log in as `NAME` this once (default: the Docker configuration's)"},
		&cli.BoolFlag{Name: "password-stdin", Category: category, Usage: "read the password of --username from standard input"},
	}
}

// connectionOptions makes values of those registryFlags that are not credentials.
func connectionOptions(c *cli.Context) (oci.Options, error) {
	opts := oci.Options{
		PlainHTTP: c.Bool("plain-http"),
		CAFile:    c.String("ca-file"),
		CertFile:  c.String("cert-file"),
		KeyFile:   c.String("key-file"),

		DockerConfig: dockerConfig(),
	}
	if (opts.CertFile == "") != (opts.KeyFile == "") {
		return opts, usagef("--cert-file and --key-file go together")
	}
	return opts, nil
}

// dockerConfig is where the environment says that Docker keeps credentials; "" says nothing.
func dockerConfig() string {
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	return ""
}

// registryOptions makes values of all registryFlags. It reads a password where they say so.
func registryOptions(c *cli.Context) (oci.Options, error) {
	opts, err := connectionOptions(c)
	if err != nil {
		return opts, err
	}
	opts.Username = c.String("username")
	if (opts.Username == "") == c.Bool("password-stdin") {
		return opts, usagef("--username and --password-stdin go together")
	}
	if opts.Username != "" {
		opts.Password, err = readPassword(c.App.Reader)
	}
	return opts, err
}

// readPassword reads r to its end, less the line end that echo and files add.
func readPassword(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if password == "" || len(data) > maxPassword {
		return "", usagef("no password on standard input")
	}
	return password, nil
}

// A place is a reference and how the user wrote it.
type place struct {
	oci.Reference
	text string
}

// parsePlaces reads references, all before any is used.
func parsePlaces(args ...string) ([]place, error) {
	var places []place
	for _, arg := range args {
		ref, err := oci.ParseReference(arg)
		if err != nil {
			if h := meantPath(arg); h != "" {
				return nil, withHint(err, "%s", h)
			}
			return nil, withHint(err, "a bundle is oci:DIR[:TAG], oci-archive:FILE[:TAG] or HOST/REPO[:TAG][@DIGEST]")
		}
		places = append(places, place{ref, arg})
	}
	return places, nil
}

// meantPath returns a hint for a directory or file that was written as if it were a registry.
func meantPath(arg string) string {
	info, err := os.Stat(arg)
	switch {
	case err != nil:
		return ""
	case info.IsDir():
		return "for the directory write oci:" + arg
	}
	return "for the file write oci-archive:" + arg
}

// explain adds to an error of a store what to type next, where that depends on what the user
// typed: how to log in to the registry which the error names, or that no registry was meant.
func explain(err error, places ...place) error {
	var hinted *hintedError
	if err == nil || errors.As(err, &hinted) {
		return err
	}
	for _, p := range places {
		if p.Host == "" || !strings.Contains(err.Error(), p.Host) {
			continue
		}
		if errors.Is(err, oci.ErrUnauthorized) {
			return withHint(err, "log in with \"goferry login %s\", or give --username and --password-stdin", p.Host)
		}
		if h := meantPath(p.text); h != "" {
			return withHint(err, "%s", h)
		}
	}
	return err
}

// A source is a bundle to be read: where it is, and what it is called there.
type source struct {
	store  oci.Store
	target string // tag or digest
}

// openSource opens the store of a place. The caller closes it.
func openSource(c *cli.Context, p place, opts oci.Options) (*source, error) {
	store, err := oci.Open(c.Context, p.Reference, opts)
	if err != nil {
		return nil, explain(err, p)
	}
	target, err := readTarget(c.Context, store, p.Reference)
	if err != nil {
		store.Close()
		return nil, explain(err, p)
	}
	return &source{store, target}, nil
}

// readTarget returns what ref calls the bundle. Without a tag that is "latest", but the
// only tag of a layout or archive that has only one.
func readTarget(ctx context.Context, store oci.Store, ref oci.Reference) (string, error) {
	if target := ref.Target(); target != "" {
		return target, nil
	}
	if ref.Host != "" {
		return defaultTag, nil
	}
	var tags []string
	for tag, err := range store.Tags(ctx) {
		if err != nil {
			return "", err
		}
		if tags = append(tags, tag); len(tags) > 1 {
			return defaultTag, nil
		}
	}
	if len(tags) == 1 {
		return tags[0], nil
	}
	return defaultTag, nil
}

// checkDestination refuses a place that cannot be written to.
func checkDestination(p place) error {
	if p.Digest != "" {
		return usagef("%q: a bundle is written under a tag, its digest follows from its content", p.text)
	}
	return nil
}

// createDestination opens or makes the store of a place, and returns it with the tag to
// write. The caller closes it.
func createDestination(c *cli.Context, p place, opts oci.Options) (oci.Store, string, error) {
	store, err := oci.Create(c.Context, p.Reference, opts)
	if err != nil {
		return nil, "", explain(err, p)
	}
	return store, cmp.Or(p.Tag, defaultTag), nil
}
