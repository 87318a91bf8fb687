package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A background is "goferry serve" of a script.
type background struct {
	cmd    *exec.Cmd
	stderr *os.File
	end    func() // once
}

// serving starts "goferry serve" on a free port, waits until it listens, and sets $SERVER to its URL, and $SERVER_HOST. Its stderr is the
// file serve.log.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value("world").(*world)
	path, err := exec.LookPath("goferry")
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), append(slices.Clone(w.env.Vars), "PWD="+ts.MkAbs("."), "GOFERRY_STATE="+ts.Getenv("GOFERRY_STATE"))
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	log, err := os.Create(ts.MkAbs("serve.log"))
	ts.Check(err)
	cmd.Stderr = log
	ts.Check(cmd.Start())
	b := &background{cmd: cmd, stderr: log}
	b.end = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		log.Close()
	})
	w.server = b
	ts.Defer(b.end)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.end()
		ts.Fatalf("goferry serve %v: %v\n%s", args, err, ts.ReadFile("serve.log"))
	}
	server := strings.TrimSuffix(line, "\n")
	_, host, _ := strings.Cut(server, "://")
	ts.Setenv("SERVER", server)
	ts.Setenv("SERVER_HOST", host)
}

// certificate writes a certificate for 127.0.0.1, which is its own authority, and its key.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// logged waits until serve.log has a line that matches.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !pattern.MatchString(ts.ReadFile("serve.log")); {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("serve.log has no %q:\n%s", args[0], ts.ReadFile("serve.log"))
		}
	}
}

// served ends it, and holds the exit code.
func served(ts *testscript.TestScript, neg bool, args []string) {
	b := ts.Value("world").(*world).server
	b.end()
	if code := strconv.Itoa(b.cmd.ProcessState.ExitCode()); len(args) != 1 || code != args[0] {
		ts.Fatalf("goferry serve: exit code %s, want %v\n%s", code, args, ts.ReadFile("serve.log"))
	}
}
