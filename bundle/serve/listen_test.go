package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// listening runs Serve, and returns its address, what ends it, and what it returned.
func listening(t testing.TB, s *Server) (addr string, end func(), ended chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(cancel)
	return l.Addr().String(), cancel, ended
}

// large is a server with a zip that no socket takes at once.
func large(t testing.TB) *Server {
	t.Helper()
	w := newWorld(t)
	w.module(t, "example.com/big", "v1.0.0", 8<<20)
	dir := t.TempDir() + "/app"
	w.pack(t, dir, "v1", "example.com/big@v1.0.0")
	return newServer(t, "oci:"+dir)
}

// begin asks for the large zip and reads the head of the answer.
func begin(t testing.TB, addr string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // the kernel would take megabytes
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /example.com/big/@v/v1.0.0.zip HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, resp
}

// Who is being answered when the server ends gets all of it; nobody else gets anything.
func TestShutdown(t *testing.T) {
	s := large(t)
	addr, end, ended := listening(t, s)
	conn, resp := begin(t, addr)
	defer conn.Close()
	end()
	for { // until the port is closed
		c, err := net.Dial("tcp", addr)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			c.Close()
		}
	}
	select {
	case err := <-ended:
		t.Fatalf("Serve = %v before the request was answered", err)
	default:
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != resp.ContentLength {
		t.Errorf("%d of %d bytes, %v", n, resp.ContentLength, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// Clients that go away in the middle leave nothing behind.
func TestClientsGoAway(t *testing.T) {
	s := large(t)
	addr, end, ended := listening(t, s)
	before := openFiles(t)
	var clients sync.WaitGroup
	for range 50 {
		clients.Go(func() {
			conn, resp := begin(t, addr)
			io.CopyN(io.Discard, resp.Body, 1000)
			conn.Close()
		})
	}
	clients.Wait()
	deadline := time.Now().Add(20 * time.Second)
	for s.meters.inFlight.Load() > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are still being answered", s.meters.inFlight.Load())
		}
		time.Sleep(time.Millisecond)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d open files, %d before", after, before)
	}
	if users := s.current.users.Load(); users != 1 {
		t.Errorf("the state has %d users", users)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(entries)
}
