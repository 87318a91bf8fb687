package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A gate lets requests through until one that it holds for ever; then it tells. So a test knows where goferry is, without
// waiting for a while and hoping.
type gate struct {
	next    http.Handler
	holds   func(*http.Request) bool
	once    sync.Once
	reached chan struct{}
}

func newGate(next http.Handler, holds func(*http.Request) bool) *gate {
	return &gate{next: next, holds: holds, reached: make(chan struct{})}
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !g.holds(r) {
		g.next.ServeHTTP(w, r)
		return
	}
	g.once.Do(func() { close(g.reached) })
	io.Copy(io.Discard, r.Body) // the server sees that the client went away only after the body
	<-r.Context().Done()
}

func uploadsBlob(r *http.Request) bool {
	return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/blobs/uploads/")
}

func putsManifest(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
}

func getsBlob(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
}

// interrupt runs goferry until the gate is reached, sends it what Ctrl-C sends, and holds that it ends at once with 130 and
// leaves no temporary file.
func interrupt(t *testing.T, g *gate, env []string, args ...string) {
	t.Helper()
	temp := tempDir(t)
	cmd, stdout, stderr := command{env: append(env, "TMPDIR="+temp)}.start(t, binary, args...)
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	select {
	case <-g.reached:
	case <-ended:
		t.Fatalf("goferry %q ended before it was interrupted: %v\n%s", args, cmd.ProcessState, stderr)
	}
	start := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("goferry %q took %v to stop", args, took)
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("goferry %q interrupted: exit code %d, want 130\n%s", args, code, stderr)
	}
	if stdout.Len() > 0 {
		t.Errorf("goferry %q interrupted: stdout %q", args, stdout)
	}
	if left, err := filepath.Glob(filepath.Join(temp, "*")); err != nil || len(left) > 0 {
		t.Errorf("goferry %q interrupted: left %q", args, left)
	}
}

func TestInterruptCapture(t *testing.T) {
	g := newGate(http.NotFoundHandler(), func(*http.Request) bool { return true })
	proxy := startHandler(t, security{}, g)
	ref := layoutRef(t)
	dir, _ := strings.CutSuffix(strings.TrimPrefix(ref, "oci:"), ":v1")
	interrupt(t, g, []string{"GOMODCACHE=" + tempDir(t), "GOPROXY=http://" + proxy.host},
		append([]string{"pack", "-C", "testdata/hello", "-o", ref}, hello...)...)
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("an interrupted pack left the layout %s", dir)
	}
}

// TestInterruptUpload stops pack and copy while blobs go up, and while the manifests do; there must be no tag afterwards.
func TestInterruptUpload(t *testing.T) {
	f := packModules(t)
	for name, holds := range map[string]func(*http.Request) bool{"blob": uploadsBlob, "manifest": putsManifest} {
		for _, args := range [][]string{append([]string{"pack", "-C", "testdata/hello", "-o"}, ""), {"copy", f.ref, ""}} {
			t.Run(args[0]+" "+name, func(t *testing.T) {
				registry := newRegistry(t)
				g := newGate(registry, holds)
				s, behind := startHandler(t, security{}, g), startHandler(t, security{}, registry)
				args := append([]string{}, args...)
				args[len(args)-1] = s.host + "/app:v1"
				if args[0] == "pack" {
					args = append(args, hello...)
				}
				interrupt(t, g, nil, append(args, "--plain-http")...)
				refused(t, 1, "verify", "--plain-http", behind.host+"/app:v1")
				goferry(t, "copy", "--plain-http", f.ref, behind.host+"/app:v1") // continues over what arrived
				goferry(t, "verify", "--plain-http", behind.host+"/app:v1")
			})
		}
	}
}

// TestInterruptDownload stops copy and unpack while blobs come down.
func TestInterruptDownload(t *testing.T) {
	f := packModules(t)
	registry := newRegistry(t)
	behind := startHandler(t, security{}, registry)
	goferry(t, "copy", "--plain-http", f.ref, behind.host+"/app:v1")
	t.Run("copy", func(t *testing.T) {
		g := newGate(registry, getsBlob)
		s, ref := startHandler(t, security{}, g), layoutRef(t)
		interrupt(t, g, nil, "copy", "--plain-http", s.host+"/app:v1", ref)
		refused(t, 1, "verify", ref)
		goferry(t, "copy", "--plain-http", behind.host+"/app:v1", ref)
		goferry(t, "verify", ref)
	})
	t.Run("unpack", func(t *testing.T) {
		g := newGate(registry, getsBlob)
		s, target := startHandler(t, security{}, g), filepath.Join(tempDir(t), "site")
		interrupt(t, g, nil, "unpack", anybody, "--plain-http", s.host+"/app:v1", target)
		if _, err := os.Lstat(filepath.Join(target, "current")); err == nil {
			t.Error("an interrupted unpack left a current generation")
		}
		goferry(t, "unpack", anybody, "--plain-http", behind.host+"/app:v1", target)
	})
}
