//go:build unix

package rehearse

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// start starts the command. Where there are no namespaces to end with it, it gets a process group
// of its own; not at a terminal, which only the group in front may read from.
func (t *task) start(cmd *exec.Cmd) error {
	if !t.Namespaces {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !t.Terminal}
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := giveUp(); err != nil {
		return err
	}
	return cmd.Start()
}

func (t *task) wait(cmd *exec.Cmd) (code int, signal string, err error) {
	var status syscall.WaitStatus
	if t.Namespaces {
		status, err = bury(cmd)
	} else {
		cmd.Wait() // the state tells
		status = cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	if status.Signaled() {
		return -1, unix.SignalName(status.Signal()), err
	}
	return status.ExitStatus(), "", err
}

// tell sends a signal to the command and what it has started.
func (t *task) tell(cmd *exec.Cmd, signal syscall.Signal) {
	pid := cmd.Process.Pid
	switch {
	case t.Namespaces:
		pid = -1 // all but this process, which is the first
	case !t.Terminal:
		pid = -pid
	}
	syscall.Kill(pid, signal)
}

func (t *task) interrupt(cmd *exec.Cmd) { t.tell(cmd, syscall.SIGINT) }
func (t *task) kill(cmd *exec.Cmd)      { t.tell(cmd, syscall.SIGKILL) }

// stop tells the child to end.
func stop(p *os.Process) error { return p.Signal(syscall.SIGTERM) }
