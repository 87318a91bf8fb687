package e2e

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestManyFigures pushes and pulls 1,000 layers of 8 KiB side by side with crane, skopeo and regctl, in one run on one
// machine, and prints the ratios and how many requests each makes:
//
//	go test -run TestManyFigures -figures -v -timeout 1h .
func TestManyFigures(t *testing.T) {
	if !*figures {
		t.Skip("takes minutes: run it with -figures")
	}
	need(t, "skopeo", "apt-get install skopeo")
	layout := strings.TrimSuffix(strings.TrimPrefix(randomImage(t, 1000, 8<<10), "oci:"), ":v1")
	for _, kind := range registries[1:] {
		full := kind.start(t, security{})
		goferry(t, "copy", "--plain-http", "oci:"+layout+":v1", full.host+"/app:v1")
		fresh := func() server { return kind.start(t, security{}) }
		push := func(m mover, host string) cost { return m.push(t, layout, host+"/app:v1") }
		pull := func(m mover, host string) cost { return m.pull(t, host+"/app:v1", filepath.Join(tempDir(t), "pulled")) }
		filled := func() server { return full }
		t.Run(kind.name, func(t *testing.T) {
			t.Run("push", func(t *testing.T) { race(t, fresh, push) })
			t.Run("pull", func(t *testing.T) { race(t, filled, pull) })
		})
	}
}

// A mover is a program that copies an image between a layout and a registry without TLS.
type mover struct {
	name       string
	push, pull func(t *testing.T, from, to string) cost
}

// movers are goferry and its peers.
var movers = []mover{
	{"goferry", func(t *testing.T, from, to string) cost {
		return command{}.measure(t, binary, "copy", "--plain-http", "oci:"+from+":v1", to)
	}, func(t *testing.T, from, to string) cost {
		return command{}.measure(t, binary, "copy", "--plain-http", from, "oci:"+to+":v1")
	}},
	{"crane", func(t *testing.T, from, to string) cost {
		return command{}.measure(t, tool(t, "crane"), "push", "--insecure", from, to)
	}, func(t *testing.T, from, to string) cost {
		return command{}.measure(t, tool(t, "crane"), "pull", "--insecure", "--format", "oci", from, to)
	}},
	{"skopeo", func(t *testing.T, from, to string) cost {
		return command{}.measure(t, "skopeo", "copy", "--preserve-digests", "--dest-tls-verify=false", "oci:"+from+":v1", "docker://"+to)
	}, func(t *testing.T, from, to string) cost {
		return command{}.measure(t, "skopeo", "copy", "--preserve-digests", "--src-tls-verify=false", "docker://"+from, "oci:"+to+":v1")
	}},
	{"regctl", func(t *testing.T, from, to string) cost { return regctl(t, to, "ocidir://"+from+":v1", to) },
		func(t *testing.T, from, to string) cost { return regctl(t, from, from, "ocidir://"+to+":v1") }},
}

func regctl(t *testing.T, registry, from, to string) cost {
	t.Helper()
	host, _, _ := strings.Cut(registry, "/")
	c := command{env: []string{"REGCTL_CONFIG=" + filepath.Join(tempDir(t), "regctl.json")}}
	c.must(t, tool(t, "regctl"), "registry", "set", "--tls", "disabled", host)
	return c.measure(t, tool(t, "regctl"), "image", "copy", from, to)
}

// race lets everybody move, on loopback and where each answer takes 30 ms, and prints how much slower the others are. Who
// else works on this machine is in the way of all: they take turns, and the faster of two runs counts.
func race(t *testing.T, start func() server, move func(mover, string) cost) {
	took := make([]time.Duration, len(movers))
	for range 2 {
		for i, m := range movers {
			if c := move(m, start().host); took[i] == 0 || c.wall < took[i] {
				took[i] = c.wall
			}
		}
	}
	for i, m := range movers {
		late := startLate(t, start().host, 30*time.Millisecond)
		c := move(m, late.host)
		if i == 0 {
			memory(t, m.name, c)
		}
		took = append(took, c.wall)
		n := len(movers)
		t.Logf("%-8s %5d requests; %6.2f s, : goferry %5.2f; with 30 ms for each answer %6.2f s, : goferry %5.2f", m.name, late.requests.Load(),
			took[i].Seconds(), took[i].Seconds()/took[0].Seconds(), took[n+i].Seconds(), took[n+i].Seconds()/took[n].Seconds())
	}
}

// A late server gives the answers of a registry after a while, and counts them.
type late struct {
	host     string
	requests atomic.Int64
}

func startLate(t *testing.T, host string, delay time.Duration) *late {
	t.Helper()
	l := &late{}
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: host})
		r.Out.Host = r.In.Host // the registry sends back to it
	}}
	l.host = startHandler(t, security{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.requests.Add(1)
		time.Sleep(delay)
		proxy.ServeHTTP(w, r)
	})).host
	return l
}
