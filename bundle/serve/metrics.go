package serve

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
)

// meters are what /metrics shows, in the text format of Prometheus. Their number does not depend on what is served or
// asked for.
type meters struct {
	set      *metrics.Set
	inFlight atomic.Int64
	failing  atomic.Bool // what the sources have now cannot be served
	renewed  *metrics.Counter
	refused  *metrics.Counter
}

func newMeters(s *Server) *meters {
	m := &meters{set: metrics.NewSet()}
	m.renewed = m.set.NewCounter(`goferry_reloads_total{result="ok"}`)
	m.refused = m.set.NewCounter(`goferry_reloads_total{result="failed"}`)
	m.set.NewGauge("goferry_reload_failed", func() float64 {
		if m.failing.Load() {
			return 1
		}
		return 0
	})
	m.set.NewGauge("goferry_requests_in_flight", func() float64 { return float64(m.inFlight.Load()) })
	m.set.NewGauge("goferry_bundles", func() float64 { return float64(len(s.Bundles())) })
	m.set.NewGauge("goferry_modules", func() float64 { return float64(s.Modules()) })
	return m
}

// count counts an answer.
func (m *meters) count(route string, status int, bytes int64) {
	m.set.GetOrCreateCounter(fmt.Sprintf(`goferry_requests_total{route=%q,code="%d"}`, route, status)).Inc()
	m.set.GetOrCreateCounter(fmt.Sprintf(`goferry_response_bytes_total{route=%q}`, route)).Add(int(bytes))
}

// reloaded counts a renewal of what is served.
func (m *meters) reloaded(err error) {
	m.failing.Store(err != nil)
	if err != nil {
		m.refused.Inc()
	} else {
		m.renewed.Inc()
	}
}

func (m *meters) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	m.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

// route is the kind of thing that a path asks for.
func route(path string) string {
	switch {
	case path == "/":
		return "page"
	case path == "/healthz":
		return "health"
	case path == "/metrics":
		return "metrics"
	case path == "/"+envPath:
		return "env"
	case path == "/v2", strings.HasPrefix(path, "/v2/"):
		return "registry"
	case strings.HasPrefix(path, "/sumdb/"):
		return "sumdb"
	}
	return "module"
}
