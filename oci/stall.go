package oci

import (
	"context"
	"net"
	"time"
)

// stallTimeout is how long a connection may carry nothing, by default.
const stallTimeout = time.Minute

// dialer is what http.Transport dials with.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// giveUp makes the connections of dial fail when nothing moves for the time limit. A timeout for a whole request
// would not do: a blob takes as long as it takes.
func giveUp(dial dialer, limit time.Duration) dialer {
	if limit == 0 {
		limit = stallTimeout
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &movingConn{conn, limit}, nil
	}
}

// movingConn puts both deadlines off with every byte in either direction, as net/http waits for the answer
// already while it sends.
type movingConn struct {
	net.Conn
	limit time.Duration
}

func (c *movingConn) Read(p []byte) (int, error) {
	c.SetDeadline(time.Now().Add(c.limit))
	return c.Conn.Read(p)
}

func (c *movingConn) Write(p []byte) (int, error) {
	c.SetDeadline(time.Now().Add(c.limit))
	return c.Conn.Write(p)
}
