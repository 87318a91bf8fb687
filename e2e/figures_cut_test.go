package e2e

import (
	"testing"
	"time"
)

// TestCutFigures pushes and pulls a blob of 2 GiB on lines whose connections end after 64 MiB, and prints what of it was
// carried twice. It fails where that is more than a tenth:
//
//	go test -run TestCutFigures -figures -v -timeout 1h .
func TestCutFigures(t *testing.T) {
	if !*figures {
		t.Skip("takes minutes: run it with -figures")
	}
	const size, most = 2 << 30, 64 << 20
	ref := randomImage(t, 1, size)
	for _, kind := range registries[1:] {
		t.Run(kind.name, func(t *testing.T) {
			behind := kind.start(t, security{})
			line := startLine(t, behind.host, most)
			push := command{}.measure(t, binary, "copy", "--plain-http", ref, line.host+"/app:v1")
			atMost(t, "push: bytes sent : bytes", float64(line.up.Load()), size, 1.1)
			memory(t, "push", push)
			line = startLine(t, behind.host, most)
			pull := command{}.measure(t, binary, "copy", "--plain-http", line.host+"/app:v1", layoutRef(t))
			atMost(t, "pull: bytes fetched : bytes", float64(line.down.Load()), size, 1.1)
			memory(t, "pull", pull)
			t.Logf("push %v, pull %v", push.wall.Round(time.Millisecond), pull.wall.Round(time.Millisecond))
		})
	}
}
