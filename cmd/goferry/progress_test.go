package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goferry/goferry/bundle"
)

func TestStageString(t *testing.T) {
	for _, tt := range []struct {
		stage stage
		want  string
	}{
		{stage{Name: "pack", Items: 3}, "3 modules"},
		{stage{Name: "pack", Items: 3, TotalItems: 220}, "3/220 modules"},
		{stage{Name: "push", Items: 3, TotalItems: 9, Bytes: 1_500_000, TotalBytes: 3e9}, "3/9 layers, 1.5 MB/3.0 GB"},
		{stage{Name: "copy", Items: 3, Bytes: 1_500_000}, "3 blobs, 1.5 MB"},
		{stage{Name: "copy", Items: 3, TotalItems: 9, Bytes: 1_500_000, TotalBytes: 3e9}, "3/9 blobs, 1.5 MB/3.0 GB"},
	} {
		tt.stage.began = time.Now()
		if got := tt.stage.String(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.stage, got, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := &lines{Writer: &out, every: time.Hour, print: plainLine}
	l.event(bundle.Event{Stage: "capture", Items: 1})
	l.event(bundle.Event{Stage: "pack", TotalItems: 2})
	l.event(bundle.Event{Stage: "capture", Items: 1})
	l.event(bundle.Event{Stage: "pack", Item: "a@v1", Items: 1})
	if out.Len() > 0 {
		t.Errorf("printed before its time: %q", out.String())
	}
	l.close()
	l.close()
	if got, want := out.String(), "goferry: capture: 2 modules\ngoferry: pack: 1/2 modules\n"; got != want {
		t.Errorf("lines = %q, want %q", got, want)
	}
}

// TestLog holds that a log has a line each half minute, whether there is anything to tell or not, and none of what is
// soon over.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out syncBuffer
		l := newLog(&out, "pack")
		time.Sleep(45 * time.Second) // of the bubble's time
		l.event(bundle.Event{Stage: "pack", Items: 1, TotalItems: 1})
		l.event(bundle.Event{Stage: "push", Items: 2})
		time.Sleep(30 * time.Second)
		l.event(bundle.Event{Stage: "push", Items: 1})
		l.close()
		time.Sleep(time.Hour)
		if got, want := out.String(), "goferry: pack: since 30s\ngoferry: pack: 1/1 module\ngoferry: push: 2 layers\n"; got != want {
			t.Errorf("the log has %q, want %q", got, want)
		}
	})
}

// TestTerminal holds that events from many goroutines, lines for people and the end do not
// wait for each other, and that every line gets out.
func TestTerminal(t *testing.T) {
	var out syncBuffer
	term := newTerminal(&out, "pack")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				term.event(bundle.Event{Stage: "pack", Items: 1, Bytes: 10, TotalItems: 800, TotalBytes: 8000})
				term.event(bundle.Event{Stage: "copy", Items: 1})
			}
			tell(term, "warning", "look")
		})
	}
	wg.Wait()
	term.close()
	term.close()
	term.event(bundle.Event{Stage: "pack", Items: 1})
	tell(term, "", "after")
	got := out.String()
	for _, want := range []string{"goferry: pack", "800/800 modules, 8.0 kB/8.0 kB", "800 blobs", "goferry: warning: look\n", "goferry: after\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the terminal shows %q, want %q in it", got, want)
		}
	}
}

// TestTerminalWaits holds that a command which tells nothing for a second is seen to run, until it tells something.
func TestTerminalWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out syncBuffer
		term := newTerminal(&out, "inspect")
		time.Sleep(2500 * time.Millisecond) // of the bubble's time
		if got := out.String(); !strings.Contains(got, "goferry: inspect: 2 s") {
			t.Errorf("the terminal shows %q", got)
		}
		term.event(bundle.Event{Stage: "verify", Items: 1})
		time.Sleep(time.Second)
		before := len(out.String())
		time.Sleep(time.Second)
		if got := out.String()[before:]; strings.Contains(got, "inspect") {
			t.Errorf("the terminal still shows %q", got)
		}
		term.close()
	})
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
