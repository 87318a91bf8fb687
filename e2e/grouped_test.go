package e2e

import (
	"strings"
	"testing"
)

// TestGrouped holds that a bundle whose modules share layers is unpacked and served as any other.
func TestGrouped(t *testing.T) {
	f, project := packGrouped(t), copyTree(t, "testdata/container")
	if says := goferry(t, "inspect", f.ref); !strings.Contains(says, " image ") || !strings.Contains(says, "one of ") {
		t.Errorf("inspect:\n%s", says)
	}
	goferry(t, "verify", f.ref)
	lines := []string{"go build ./...", "go mod tidy", "go mod verify"}
	s := unpack(t, f.ref)
	s.develop(t, project, lines)
	s.develop(t, extractModule(t, caddy), []string{"go list -deps ./...", "go mod verify"})
	served(t, f.ref, goroot(t, goVersion), "local", project, strings.Join(lines, "\n")).want(t, 0)
}
