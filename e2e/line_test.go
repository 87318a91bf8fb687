package e2e

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
)

// A line is a way to a registry on which every connection ends once it has carried most bytes in one direction, as some
// proxies have it. It counts what it carries.
type line struct {
	host     string
	most     int64
	up, down atomic.Int64
}

// startLine starts a line to host. 0 is no limit.
func startLine(t *testing.T, host string, most int64) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	l := &line{host: listener.Addr().String(), most: most}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(client, host)
		}
	}()
	return l
}

func (l *line) carry(client net.Conn, host string) {
	defer client.Close()
	registry, err := net.Dial("tcp", host)
	if err != nil {
		return
	}
	defer registry.Close()
	ended := make(chan struct{}, 2)
	go l.copy(registry, client, &l.up, ended)
	go l.copy(client, registry, &l.down, ended)
	<-ended
}

func (l *line) copy(to io.Writer, from io.Reader, n *atomic.Int64, ended chan<- struct{}) {
	if l.most > 0 {
		from = io.LimitReader(from, l.most)
	}
	io.Copy(to, io.TeeReader(from, counter{n}))
	ended <- struct{}{}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
