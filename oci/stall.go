package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// stallTimeout is how long a connection may carry nothing, by default.
	stallTimeout = time.Minute

	// minRate is how many bytes a second an answer has to bring, or an upload to take, on average over the stall
	// timeout. A byte now and then keeps a connection from being given up, and would make a manifest take weeks.
	minRate = 1 << 10
)

// patience is how long a client waits for what: for anything at all once the time, for a document and for the header
// of an answer twice, and for more of a blob that can as well be asked for again a sixth.
type patience time.Duration

func newPatience(limit time.Duration) patience {
	if limit == 0 {
		limit = stallTimeout
	}
	return patience(limit)
}

func (p patience) stall() time.Duration { return time.Duration(p) }
func (p patience) whole() time.Duration { return 2 * time.Duration(p) }
func (p patience) pause() time.Duration { return time.Duration(p) / 6 }
func (p patience) least() (bytes int64) { return int64(minRate * time.Duration(p) / time.Second) }

// dialer is what http.Transport dials with.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// dial makes the connections of next fail when nothing moves for the time limit. A timeout for a whole request
// would not do: a blob takes as long as it takes.
func (p patience) dial(next dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &movingConn{Conn: conn, patience: p, sent: pace{patience: p}}, nil
	}
}

// movingConn puts both deadlines off with every byte in either direction, as net/http waits for the answer
// already while it sends.
type movingConn struct {
	net.Conn
	patience patience
	sent     pace // one Write at a time
}

func (c *movingConn) Read(p []byte) (int, error) {
	c.SetDeadline(time.Now().Add(c.patience.stall()))
	return c.Conn.Read(p)
}

// Write writes small pieces, so that one which takes long is seen.
func (c *movingConn) Write(p []byte) (n int, err error) {
	const piece = 64 << 10
	for n < len(p) && err == nil {
		began := time.Now()
		c.SetDeadline(began.Add(c.patience.stall()))
		var m int
		m, err = c.Conn.Write(p[n:min(n+piece, len(p))])
		n += m
		if err == nil {
			err = c.sent.add(m, time.Since(began))
		}
	}
	return n, err
}

// pace is how fast bytes move in one direction, while they are waited for.
type pace struct {
	patience patience
	waited   time.Duration // since the last reckoning
	bytes    int64
}

// add is an error if less than the least bytes have moved in the time that was spent waiting.
func (p *pace) add(n int, waited time.Duration) error {
	p.waited += waited
	p.bytes += int64(n)
	if p.waited < p.patience.stall() {
		return nil
	}
	if p.bytes < p.patience.least() {
		return fmt.Errorf("%d bytes in %v: %w", p.bytes, p.patience.stall(), os.ErrDeadlineExceeded)
	}
	p.waited, p.bytes = 0, 0
	return nil
}

// roundTrip sends req through next. A document has to be there in time as a whole, a blob has to keep coming.
func (p patience) roundTrip(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	ctx, end := context.WithCancelCause(req.Context())
	cancel := func() { end(nil) }
	if isDocumentRequest(req) {
		late := fmt.Errorf("no whole answer within %v: %w", p.whole(), os.ErrDeadlineExceeded)
		timer := time.AfterFunc(p.whole(), func() { end(late) })
		cancel = func() { timer.Stop(); end(nil) }
	}
	resp, err := next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		err = lateOr(ctx, err)
		cancel()
		return nil, err
	}
	resp.Body = &steadyBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, end: end, goesOn: goesOn(resp), pace: pace{patience: p}}
	return resp, nil
}

// goesOn reports whether an answer can be asked for again from the middle on, on another connection.
func goesOn(resp *http.Response) bool {
	return resp.ProtoMajor == 1 && (resp.StatusCode == http.StatusPartialContent || resp.Header.Get("Accept-Ranges") == "bytes")
}

// isDocumentRequest reports whether the answer to req is small: all are but those to requests for blobs, wherever they
// are redirected to. What is pushed takes the time that the line needs.
func isDocumentRequest(req *http.Request) bool {
	for first := req; ; first = first.Response.Request {
		if strings.Contains(first.URL.Path, "/blobs/") || first.Method == http.MethodPut {
			return false
		}
		if first.Response == nil || first.Response.Request == nil {
			return true
		}
	}
}

// lateOr is err, or the reason why ctx is over if that is a deadline of ours.
func lateOr(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, os.ErrDeadlineExceeded) {
		return cause
	}
	return err
}

// steadyBody is the body of an answer. It fails when it brings less than the least bytes in the time that was spent
// waiting for it; how long its reader takes does not count. One that goes on, and has brought enough to make that
// worthwhile, fails soon: what is on the way may drop a connection without telling.
type steadyBody struct {
	io.ReadCloser
	ctx     context.Context
	cancel  func()
	end     context.CancelCauseFunc
	goesOn  bool
	brought int64
	pace    pace
}

func (b *steadyBody) Read(p []byte) (int, error) {
	began := time.Now()
	if b.goesOn && b.brought >= worthwhile {
		pause := b.pace.patience.pause()
		defer time.AfterFunc(pause, func() { b.end(fmt.Errorf("nothing came for %v: %w", pause, os.ErrDeadlineExceeded)) }).Stop()
	}
	n, err := b.ReadCloser.Read(p)
	b.brought += int64(n)
	late := b.pace.add(n, time.Since(began))
	switch {
	case err == io.EOF:
		return n, err
	case err != nil:
		return n, lateOr(b.ctx, err)
	}
	return n, late
}

func (b *steadyBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
