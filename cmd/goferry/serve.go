package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/serve"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:      "serve",
		Usage:     "serve bundles as a module proxy, checksum database and registry",
		ArgsUsage: "[NAME=]REF…",
		Description: "goferry serve --key release.pub oci:/media/stick/app:v3\n" +
			"goferry serve --key release.pub --listen :8080 oci:/srv/bundles harbor.corp/go/tools:v7\n\n" +
			"Who signed is asked first, and everything verified. Then the go command finds modules, toolchains\n" +
			"and the checksum database at the URL that is printed, and container engines find the bundles as\n" +
			"images: as the repository that REF has, or is called as a file, or as NAME. Without a tag all bundles\n" +
			"of a layout or archive are served, and what is added or replaced there, or moves in a registry, is\n" +
			"verified and then served without a restart. What is not signed is left out of a whole layout or\n" +
			"archive, and replaces nothing that is served. Ends with 0 when it is interrupted or terminated.",
		Flags:  slices.Concat(serveFlags(), []cli.Flag{formatFlag(), progressFlag(), quietFlag()}, demandFlags(), registryFlags()),
		Action: serveBundles,
	}
}

func serveBundles(c *cli.Context) error {
	names, refs, err := namedReferences(c)
	if err != nil {
		return err
	}
	j, err := begin(c, refs...)
	if err != nil {
		return err
	}
	defer j.show.close()
	opts, err := serveOptions(c)
	if err != nil {
		return err
	}
	believe, err := demand(c, j.show, j.places)
	if err != nil {
		return err
	}
	t := trailOf(c.Context)
	var server *serve.Server
	j.serveFrom(&opts, names, believe)
	j.recordServing(&opts, t, func() map[string]digest.Digest { return server.Digests() })
	listener, err := listen(c)
	if err != nil {
		return err
	}
	defer listener.Close()
	server, err = serve.New(c.Context, opts)
	if err != nil {
		return j.explain(err)
	}
	defer server.Close()
	if err := t.serving(server.Digests()); err != nil {
		return err
	}
	j.show.close()
	// From here on little lives long, and much is made for each request: collecting less often saves a tenth of the
	// processor's time, and costs some megabytes.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if err := announce(c, server, serverURL(listener.Addr(), opts.TLS != nil)); err != nil {
		return err
	}
	return server.Serve(c.Context, listener)
}

// serveFrom sets what the job knows of a server: where the bundles are, and who hears what becomes of them.
func (j *job) serveFrom(opts *serve.Options, names []string, believe believer) {
	opts.Registry, opts.Progress, opts.CacheDir = j.registry, j.show.event, cacheDir()
	opts.Renewed = func(bundles []string) { tell(j.show, "", "serving now "+strings.Join(bundles, ", ")) }
	opts.Failed = func(err error) { report(j.show, j.explain(err)) }
	for i, p := range j.places {
		opts.Sources = append(opts.Sources, serve.Source{
			Name: p.text, Repository: names[i], Reference: p.Reference, Trust: func() *bundle.Trust { return believe(p) },
		})
	}
}

// recordServing has what becomes of the bundles recorded, and then told. Where it cannot be, that is told, and the server goes on for
// those who use it.
func (j *job) recordServing(opts *serve.Options, t *trail, now func() map[string]digest.Digest) {
	renewed, failed := opts.Renewed, opts.Failed
	opts.Renewed = func(bundles []string) {
		report(j.show, t.serving(now()))
		renewed(bundles)
	}
	opts.Failed = func(err error) {
		report(j.show, t.refused(err))
		failed(err)
	}
}

// namedReference is a reference with the name that it is to have as a repository before it.
var namedReference = regexp.MustCompile(`^([a-z0-9][a-z0-9._/-]*)=(.+)$`)

func namedReferences(c *cli.Context) (names, refs []string, err error) {
	if !c.Args().Present() {
		return nil, nil, withHint(usagef("serve: REF is missing"), "goferry serve %s; see \"goferry help serve\"", c.Command.ArgsUsage)
	}
	for _, arg := range c.Args().Slice() {
		name := ""
		if m := namedReference.FindStringSubmatch(arg); m != nil {
			name, arg = m[1], m[2]
		}
		names, refs = append(names, name), append(refs, arg)
	}
	return names, refs, nil
}

// listen takes the port before anything is read: whether it is free should not be told after minutes.
func listen(c *cli.Context) (net.Listener, error) {
	addr := c.String("listen")
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, withHint(usagef("serve: --listen %q: %w", addr, err), "write HOST:PORT, for example 127.0.0.1:8080")
	}
	var config net.ListenConfig
	listener, err := config.Listen(c.Context, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, withHint(fmt.Errorf("serve: %s is in use by another program", addr), "choose another port with --listen, or any free one with --listen 127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	return listener, nil
}

// announce says what to do with the server, and then prints where it is: whoever reads that finds all else said.
func announce(c *cli.Context, server *serve.Server, address string) error {
	e := server.Env()
	if !c.Bool("quiet") {
		env, err := bundle.ProxyEnv(address, e.SumDB, e.NoSumDB, bundle.Sh)
		if err != nil {
			return err
		}
		tell(c.App.ErrWriter, "", fmt.Sprintf("serving %s of %s", count(server.Modules(), "module version"), strings.Join(server.Bundles(), ", ")))
		for line := range strings.Lines(env) {
			tell(c.App.ErrWriter, "hint", strings.TrimSuffix(line, "\n"))
		}
	}
	if c.String("format") == "json" {
		return printJSON(c, struct {
			URL     string   `json:"url"`
			Bundles []string `json:"bundles"`
			Modules int      `json:"modules"`
			serve.Env
		}{address, server.Bundles(), server.Modules(), e})
	}
	_, err := fmt.Fprintln(c.App.Writer, address)
	return err
}

// serverURL is how clients call the address. Where it is any of this machine's, that is the machine's name.
func serverURL(addr net.Addr, secure bool) string {
	u := url.URL{Scheme: "http", Host: addr.String()}
	if secure {
		u.Scheme = "https"
	}
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host := "localhost"
		if name, err := os.Hostname(); err == nil {
			host = name
		}
		u.Host = net.JoinHostPort(host, strconv.Itoa(tcp.Port))
	}
	return u.String()
}
