// Package network looks at the network that a test has.
package network

import (
	"net"
	"os"
	"testing"
)

func TestLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestOutside(t *testing.T) {
	if c, err := net.Dial("tcp", os.Getenv("OUTSIDE")); err == nil {
		c.Close()
		t.Errorf("%s can be reached", os.Getenv("OUTSIDE"))
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Flags&net.FlagLoopback == 0 {
		t.Errorf("interfaces: %v, %v; want the loopback alone", interfaces, err)
	}
}
