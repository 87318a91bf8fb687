package oci

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// startRegistry is a registry in this process. front, if not nil, sees every request first.
func startRegistry(t testing.TB, referrers bool, front func(http.Handler) http.Handler) (Reference, Options) {
	t.Helper()
	var h http.Handler = registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0)))
	if front != nil {
		h = front(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ref := Reference{Transport: TransportRegistry, Host: strings.TrimPrefix(srv.URL, "http://"), Repository: "team/bundle"}
	return ref, Options{
		PlainHTTP:    true,
		RetryWait:    time.Millisecond,
		DockerConfig: filepath.Join(t.TempDir(), "config.json"),
	}
}
