package e2e

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/crypto/bcrypt"
)

// A server is a registry that runs for one test.
type server struct {
	host           string // "127.0.0.1:PORT"
	ca             string // PEM file of its authority, "" for plain HTTP
	user, password string // "" where everybody may push
}

// flags are what goferry needs to talk to the server.
func (s server) flags() []string {
	if s.ca == "" {
		return []string{"--plain-http"}
	}
	return []string{"--ca-file", s.ca}
}

// security is what a registry asks of its clients.
type security struct{ tls, password bool }

// registries are the kinds that every bundle has to survive: with the referrers API, and two generations without.
var registries = []struct {
	name  string
	start func(*testing.T, security) server
}{
	{"go-containerregistry", startInProcess},
	{"docker-registry-2.8", startDebian},
	{"distribution-v3", startDistribution},
}

func startInProcess(t *testing.T, sec security) server {
	t.Helper()
	return startHandler(t, sec, newRegistry(t))
}

// newRegistry is go-containerregistry's, which has the referrers API and keeps its blobs on disk.
func newRegistry(t *testing.T) http.Handler {
	t.Helper()
	blobs := registry.NewDiskBlobHandler(tempDir(t))
	return registry.New(registry.WithReferrersSupport(true), registry.WithBlobHandler(blobs), registry.Logger(log.New(io.Discard, "", 0)))
}

func startHandler(t *testing.T, sec security, h http.Handler) server {
	t.Helper()
	s := credentials(sec)
	if sec.password {
		h = basicAuth(h, s.user, s.password)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if sec.tls {
		s.ca, srv.TLS = serverCertificate(t)
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.host = u.Host
	return s
}

func credentials(sec security) server {
	if sec.password {
		return server{user: "robot$go+ci", password: "correct horse"}
	}
	return server{}
}

func basicAuth(h http.Handler, user, password string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u == user && p == password {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	})
}

func startDebian(t *testing.T, sec security) server {
	t.Helper()
	need(t, "docker-registry", "apt-get install docker-registry")
	return startProgram(t, "docker-registry", sec)
}

func startDistribution(t *testing.T, sec security) server {
	t.Helper()
	return startProgram(t, tool(t, "registry"), sec)
}

// startProgram runs a registry of the distribution project. It takes port 0 and says in its log which one it got.
func startProgram(t *testing.T, program string, sec security) server {
	t.Helper()
	s, dir := credentials(sec), tempDir(t)
	config := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp:\n  addr: 127.0.0.1:0\n",
		filepath.Join(dir, "storage"))
	if sec.tls {
		cert, key, ca := certificateFiles(t)
		config += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", cert, key)
		s.ca = ca
	}
	if sec.password {
		hash, err := bcrypt.GenerateFromPassword([]byte(s.password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users := filepath.Join(dir, "htpasswd")
		write(t, users, s.user+":"+string(hash)+"\n")
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", users)
	}
	file := filepath.Join(dir, "config.yml")
	write(t, file, config)
	cmd := exec.CommandContext(t.Context(), program, "serve", file)
	cmd.Env = environ("OTEL_TRACES_EXPORTER=none")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.host = listening(t, stderr)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return s
}

var listeningOn = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// listening reads a log until it names the address, and goes on emptying it: a full pipe would stop the server.
func listening(t *testing.T, logs io.Reader) string {
	t.Helper()
	var seen strings.Builder
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if m := listeningOn.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, logs)
			return m[1]
		}
		fmt.Fprintln(&seen, lines.Text())
	}
	t.Fatalf("the registry did not start:\n%s", &seen)
	return ""
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
