//go:build !linux

package rehearse

import (
	"errors"
	"os/exec"
	"syscall"
)

// An isolation is a way to start the child.
type isolation struct {
	namespaces bool
	attr       *syscall.SysProcAttr
}

// isolations returns the ways to try: the settings alone.
func isolations() []isolation { return []isolation{{}} }

func (t *task) enter() error { return errors.ErrUnsupported }

func giveUp() error { return errors.ErrUnsupported }

func bury(*exec.Cmd) (status syscall.WaitStatus, err error) { return status, errors.ErrUnsupported }
