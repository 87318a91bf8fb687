//go:build unix

package gomod

import (
	"os/exec"
	"syscall"
)

// killGroup makes cancelling cmd kill what it has started as well: git and
// the toolchain that the go command switched to.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
