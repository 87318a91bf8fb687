package rehearse

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// An isolation is a way to start the child.
type isolation struct {
	namespaces bool
	attr       *syscall.SysProcAttr
}

// isolations returns the ways to try, the best first. In each the child dies with goferry.
func isolations() []isolation {
	const spaces = unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWNS
	uid, gid := os.Getuid(), os.Getgid()
	byUser := isolation{true, &syscall.SysProcAttr{
		Pdeathsig:  unix.SIGKILL,
		Cloneflags: unix.CLONE_NEWUSER | spaces,
		// The user stays who he is, so the capabilities that set up the namespaces
		// have to be kept by name until the command is started.
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_ADMIN},
	}}
	none := isolation{false, &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}}
	if os.Geteuid() != 0 {
		return []isolation{byUser, none}
	}
	return []isolation{{true, &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL, Cloneflags: spaces}}, byUser, none}
}

// enter makes the new namespaces usable: the loopback is up, /proc shows what is in them, and the
// root is the image's if there is one.
func (t *task) enter() error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bring up the loopback: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if t.Image != "" {
		return t.enterImage()
	}
	// In a container this may be refused. Then /proc shows the processes outside, which no
	// build looks at; /proc/self is right all the same.
	mountProc("/proc")
	return nil
}

func mountProc(dir string) error {
	return unix.Mount("proc", dir, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

// giveUp takes from this thread the capabilities that the child was given. A command gets those
// of the thread that starts it.
func giveUp() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

// bury waits for the command as the first process of its namespace has to: all that were left
// alone are its children.
func bury(cmd *exec.Cmd) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait for the command: %w", err)
		case pid == cmd.Process.Pid:
			return status, nil
		}
	}
}
