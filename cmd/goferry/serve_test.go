package main

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
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

// serving starts "goferry serve" on a free port, waits until it listens, and sets $SERVER to its URL. Its stderr is the
// file serve.log.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value("world").(*world)
	path, err := exec.LookPath("goferry")
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), append(w.env.Vars, "PWD="+ts.MkAbs("."))
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
	ts.Setenv("SERVER", strings.TrimSuffix(line, "\n"))
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
