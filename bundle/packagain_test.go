package bundle

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/oci/harbortest"
)

// packInto packs a capture into a repository under v1.
func packInto(t *testing.T, server *httptest.Server, c *gomod.Captured) (oci.Store, Packed) {
	t.Helper()
	ref := oci.Reference{Transport: oci.TransportRegistry, Host: server.Listener.Addr().String(), Repository: "team/app", Tag: "v1"}
	s, err := oci.Create(t.Context(), ref, oci.Options{PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	packed, err := packCaptured(t.Context(), s, c, "")
	if err != nil {
		t.Fatal(err)
	}
	return s, packed
}

func moduleLayer(t *testing.T, s oci.Store, i int) digest.Digest {
	t.Helper()
	info, err := Inspect(t.Context(), s, "v1")
	if err != nil {
		t.Fatal(err)
	}
	return info.Modules[i].Digest
}

// TestPackAgainAsksLittle holds what the next pack of a large project costs, and that it sees whether the registry has
// lost any of what it does not ask for.
func TestPackAgainAsksLittle(t *testing.T) {
	for _, loses := range []bool{false, true} {
		c := capturedMany(t, 303)
		next := *c
		c.Modules, next.Modules = c.Modules[:300], c.Modules[3:]
		harbor := harbortest.New(harbortest.Harbor{})
		server := httptest.NewServer(harbor)
		t.Cleanup(server.Close)
		s, _ := packInto(t, server, c)
		if loses {
			harbor.Lose("team/app", string(moduleLayer(t, s, 200)))
		}
		harbor.Forget()
		s, _ = packInto(t, server, &next)
		requests := harbor.Requests()
		t.Logf("%d requests", len(requests))
		if len(requests) >= 25 && !loses {
			t.Errorf("%d requests:\n%s", len(requests), strings.Join(requests, "\n"))
		}
		if _, err := verifyTest(t, s).Check(t.Context()); err != nil {
			t.Errorf("the registry has lost something: %v, Check = %v", loses, err)
		}
	}
}

// TestPackTheSameAgain holds that what is packed once more finds out what the registry has lost.
func TestPackTheSameAgain(t *testing.T) {
	c := capturedMany(t, 5)
	harbor := harbortest.New(harbortest.Harbor{})
	server := httptest.NewServer(harbor)
	defer server.Close()
	s, first := packInto(t, server, c)
	harbor.Lose("team/app", string(moduleLayer(t, s, 3)))
	s, second := packInto(t, server, c)
	if first.Descriptor.Digest != second.Descriptor.Digest {
		t.Errorf("digest = %s, want %s", second.Descriptor.Digest, first.Descriptor.Digest)
	}
	if _, err := verifyTest(t, s).Check(t.Context()); err != nil {
		t.Error(err)
	}
}
