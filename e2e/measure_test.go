package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A cost is what a finished command took.
type cost struct {
	wall  time.Duration
	own   int64 // peak resident bytes of the process itself
	child int64 // the largest peak of one process below it: the go command and what it starts
	out   string
}

// measure runs a command that has to succeed. The peaks are read from /proc while it runs: what wait4 reports is the
// largest of the process, its children and, because it survives exec, this test.
func (c command) measure(t *testing.T, name string, args ...string) cost {
	t.Helper()
	start := time.Now()
	cmd, stdout, stderr := c.start(t, name, args...)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	m := cost{}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%s %q: %v\n%s", name, args, err, stderr)
			}
			m.wall, m.out = time.Since(start), strings.TrimSpace(stdout.String())
			return m
		case <-tick.C:
			m.own = max(m.own, peak(cmd.Process.Pid))
			m.child = max(m.child, peakBelow(cmd.Process.Pid))
		}
	}
}

// peak is the high-water mark of a process since its exec, 0 if it is gone.
func peak(pid int) int64 {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	line, _, _ := bytes.Cut(after, []byte("kB"))
	kib, _ := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
	return kib << 10
}

func peakBelow(pid int) (most int64) {
	lists, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				most = max(most, peak(child), peakBelow(child))
			}
		}
	}
	return most
}
