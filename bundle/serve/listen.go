package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// What a client may cost.
const (
	maxHeader     = 64 << 10
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	graceful      = 10 * time.Second // that running requests have when the server ends
)

// Serve answers on the listener, and renews what is served when the sources change, until ctx is done. Then it takes no more requests, gives those that are running
// some seconds to end, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(bugs{s.opts.Failed}, "", 0),
		TLSConfig:         s.opts.TLS,
	}
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { s.watch(watching) })
	defer watcher.Wait()
	defer stop()
	ended := make(chan error, 1)
	go func() {
		if s.opts.TLS != nil {
			ended <- server.ServeTLS(l, "", "")
		} else {
			ended <- server.Serve(l)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	if err := server.Shutdown(grace); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	} else if err != nil {
		return err
	}
	return nil
}

// bugs takes net/http's log. What clients do wrong is in it too and is no error of ours; a panic is.
type bugs struct{ failed func(error) }

func (b bugs) Write(p []byte) (int, error) {
	if line, _, _ := bytes.Cut(p, []byte("\n")); b.failed != nil && bytes.HasPrefix(line, []byte("http: panic serving")) {
		b.failed(fmt.Errorf("a mistake in goferry: %s", line))
	}
	return len(p), nil
}
