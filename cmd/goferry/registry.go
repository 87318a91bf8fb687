package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/oci"
)

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
		&cli.StringSliceFlag{Name: "allow-host", Category: category, Usage: "let the registry send to the private `HOST`[:PORT] for tokens and blobs"},
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

		AllowHosts:   c.StringSlice("allow-host"),
		DockerConfig: dockerConfig(),
		UserAgent:    userAgent(),
		UploadDir:    uploadDir(),
	}
	for _, host := range opts.AllowHosts {
		if host == "" || strings.ContainsAny(host, "/@ ") {
			return opts, usagef("--allow-host %q: it is a host, without https:// and path", host)
		}
	}
	if (opts.CertFile == "") != (opts.KeyFile == "") {
		return opts, usagef("--cert-file and --key-file go together")
	}
	return opts, nil
}

// uploadDir is where uploads that are cut are kept in mind; "" is nowhere.
func uploadDir() string {
	dir := cacheDir()
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "uploads")
}

// userAgent tells a registry which goferry it is. It has "cosign" in it because Harbor lets signing tools see what is not
// signed yet.
func userAgent() string {
	return "goferry/" + strings.Trim(buildVersion().Version, "()") + " (cosign-compatible)"
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
