package rehearse

import (
	"os"
	"os/exec"
)

func (t *task) start(cmd *exec.Cmd) error { return cmd.Start() }

func (t *task) wait(cmd *exec.Cmd) (code int, signal string, err error) {
	cmd.Wait() // the state tells
	return cmd.ProcessState.ExitCode(), "", nil
}

// interrupt does nothing: the console has told all of its processes.
func (t *task) interrupt(*exec.Cmd) {}
func (t *task) kill(cmd *exec.Cmd)  { cmd.Process.Kill() }

// stop leaves it to the console to tell the child to end.
func stop(*os.Process) error { return nil }
