package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle/serve"
)

// serveFlags are the flags of serve that say how, not what.
func serveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "listen", Value: "127.0.0.1:8080", Usage: "serve on `HOST:PORT`; port 0 is any free one"},
		&cli.StringFlag{Name: "tls-cert", Usage: "serve HTTPS with the PEM certificate in `FILE`"},
		&cli.StringFlag{Name: "tls-key", Usage: "the PEM key of --tls-cert, in `FILE`"},
		&cli.StringFlag{Name: "htpasswd", Usage: "ask for a name and password that \"htpasswd -B\" wrote to `FILE`"},
		&cli.StringFlag{Name: "access-log", Value: "text", Usage: "write a line for each request to standard error: `text|json|none`"},
		&cli.DurationFlag{Name: "refresh", Value: time.Minute, Usage: "ask registries every `TIME` whether a tag has moved"},
	}
}

// serveOptions makes values of serveFlags, but for --listen.
func serveOptions(c *cli.Context) (opts serve.Options, err error) {
	if opts.Refresh = c.Duration("refresh"); opts.Refresh < time.Second {
		return opts, usagef("serve: --refresh %s is less than a second", opts.Refresh)
	}
	if opts.AccessLog, err = accessLog(c.String("access-log"), c.App.ErrWriter); err != nil {
		return opts, err
	}
	cert, key := c.String("tls-cert"), c.String("tls-key")
	if (cert == "") != (key == "") {
		return opts, usagef("--tls-cert and --tls-key go together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return opts, fmt.Errorf("serve: --tls-cert %s: %w", cert, err)
		}
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	}
	if file := c.String("htpasswd"); file != "" {
		if opts.Users, err = serve.OpenHtpasswd(file); err != nil {
			return opts, fmt.Errorf("serve: --htpasswd: %w", err)
		}
		if host, _, _ := net.SplitHostPort(c.String("listen")); cert == "" && !isLoopback(host) {
			tell(c.App.ErrWriter, "warning", "passwords will cross the network as they are, and the go command sends none without TLS: give --tls-cert and --tls-key")
		}
	}
	return opts, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// accessLog returns what writes the lines; nil writes none. What clients say of themselves is printed as everything
// foreign is: slog's text form quotes it, its JSON would let characters through that reorder text.
func accessLog(form string, w io.Writer) (*slog.Logger, error) {
	short := func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.LevelKey, slog.MessageKey:
			return slog.Attr{}
		case "path", "agent":
			if form == "json" {
				a.Value = slog.StringValue(printable(a.Value.String()))
			}
		case "duration":
			if form == "json" {
				a.Value = slog.Float64Value(a.Value.Duration().Seconds())
			}
		}
		return a
	}
	opts := &slog.HandlerOptions{ReplaceAttr: short}
	e, forPrograms := w.(*events)
	switch {
	case forPrograms && (form == "text" || form == "json"):
		form = "json"
		return slog.New(slog.NewJSONHandler(eventLine{e}, opts)).With("event", "access"), nil
	case form == "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case form == "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	case form == "none":
		return nil, nil
	}
	return nil, usagef("unknown access log %q: it is text, json or none", form)
}
