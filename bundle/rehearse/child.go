package rehearse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// ChildCommand is the command of goferry that does nothing but call [Child] with its argument.
const ChildCommand = "rehearse-child"

// A task is what the child is told to do.
type task struct {
	Args       []string `json:"args"` // none: only see whether it could be done
	Tree       string   `json:"tree"` // what GOPROXY hands out
	Namespaces bool     `json:"namespaces"`
	Terminal   bool     `json:"terminal"` // an interrupt reaches the command without our help
	Image      string   `json:"image"`    // directory to run in as the root; "": in this machine's
	Project    string   `json:"project"`  // what is at imageProject there
	Dir        string   `json:"dir"`      // where the command runs there
}

// An outcome is what the child answers.
type outcome struct {
	Error    string          `json:"error,omitempty"` // why the command was not run
	ExitCode int             `json:"exitCode"`
	Signal   string          `json:"signal,omitempty"` // that ended the command
	Requests map[string]bool `json:"requests"`         // of the GOPROXY tree: whether it had them
}

// Child is the inside of [Rehearsal.Run]: it finds a task in dir, takes the process out of the
// network, serves the GOPROXY tree, runs the command and leaves the outcome in dir. It returns an
// error where not even that can be left. The streams and the environment of the process are the
// command's, and so is its directory.
func Child(ctx context.Context, dir string, stdin, stdout, stderr *os.File) error {
	data, err := os.ReadFile(filepath.Join(dir, fileTask))
	if err != nil {
		return err
	}
	var t task
	if err := json.Unmarshal(data, &t); err != nil {
		return fmt.Errorf("%s: %w", fileTask, err)
	}
	// Opened now, because the task may take the directory out of sight.
	answer, err := os.Create(filepath.Join(dir, fileOutcome))
	if err != nil {
		return err
	}
	defer answer.Close()
	out, err := t.perform(ctx, stdin, stdout, stderr)
	if err != nil {
		out.Error = err.Error()
	}
	return json.NewEncoder(answer).Encode(out)
}

func (t *task) perform(ctx context.Context, stdin, stdout, stderr *os.File) (out outcome, err error) {
	tree, err := os.OpenRoot(t.Tree)
	if err != nil {
		return out, err
	}
	defer tree.Close()
	if t.Namespaces {
		if err := t.enter(); err != nil {
			return out, err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil || len(t.Args) == 0 {
		return out, err
	}
	p := &proxy{tree: tree, asked: make(map[string]bool)}
	server := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	defer server.Close()

	cmd := exec.Command(t.Args[0], t.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Env = append(cmd.Environ(), "GOPROXY=http://"+listener.Addr().String())
	out.ExitCode, out.Signal, err = t.run(ctx, cmd)
	out.Requests = p.requests()
	return out, err
}

// grace is how long a command may take to end when it is told to.
const grace = 2 * time.Second

// run runs the command until it ends, or shortly after the context does.
func (t *task) run(ctx context.Context, cmd *exec.Cmd) (code int, signal string, err error) {
	if err := t.start(cmd); err != nil {
		var notFound *exec.Error
		if errors.As(err, &notFound) {
			return 0, "", fmt.Errorf("%q is not there: %w", notFound.Name, notFound.Err)
		}
		return 0, "", err
	}
	ended := make(chan struct{})
	go func() {
		code, signal, err = t.wait(cmd)
		close(ended)
	}()
	select {
	case <-ended:
		return code, signal, err
	case <-ctx.Done():
	}
	if !t.Terminal {
		t.interrupt(cmd)
	}
	select {
	case <-ended:
	case <-time.After(grace):
		t.kill(cmd)
		<-ended
	}
	return code, signal, err
}
