package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/goferry/goferry/bundle"
)

// terminal shows a moving line for each stage: a bar where the total is known, the counts
// always.
type terminal struct {
	under    io.Writer
	progress *mpb.Progress

	mu      sync.Mutex
	stages  []*stage
	bars    map[string]*stageBar
	waiting *mpb.Bar // shown while there is no stage
	closed  bool
}

// A stageBar is the line of one stage. Its text is kept ready, because the library asks for
// it on a goroutine that event may be waiting for.
type stageBar struct {
	*mpb.Bar
	text atomic.Value
}

// newTerminal shows, until there is a stage, how long the command has taken, if that is more than a second.
func newTerminal(w io.Writer, command string) *terminal {
	t := &terminal{
		under:    w,
		progress: mpb.New(mpb.WithOutput(w), mpb.WithAutoRefresh()),
		bars:     make(map[string]*stageBar),
	}
	time.AfterFunc(time.Second, func() { t.wait(command) })
	return t
}

func (t *terminal) wait(command string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.bars) > 0 {
		return
	}
	began := time.Now().Add(-time.Second)
	text := func(decor.Statistics) string {
		return fmt.Sprintf("goferry: %s: %d s", command, int(time.Since(began).Seconds()))
	}
	t.waiting = t.progress.AddBar(0, mpb.BarFillerMiddleware(onlyWithTotal), mpb.PrependDecorators(decor.Any(text)))
}

// stopWaiting removes the line for good: what is shown from now on says more.
func (t *terminal) stopWaiting() {
	if t.waiting != nil {
		t.waiting.Abort(true)
		t.waiting = nil
	}
}

func (t *terminal) event(e bundle.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	s := find(&t.stages, e.Stage)
	s.add(e)
	bar := t.bars[e.Stage]
	if bar == nil {
		t.stopWaiting()
		bar = t.newBar(s)
	}
	bar.text.Store(s.String())
	done, total := s.Bytes, s.TotalBytes
	if total == 0 {
		done, total = int64(s.Items), int64(s.TotalItems)
	}
	bar.SetTotal(total, false) // complete only at close: totals may still grow
	bar.SetCurrent(done)
}

func (t *terminal) newBar(s *stage) *stageBar {
	bar := new(stageBar)
	bar.text.Store("")
	bar.Bar = t.progress.AddBar(0,
		mpb.BarPriority(len(t.stages)),
		mpb.BarWidth(24),
		mpb.BarFillerMiddleware(onlyWithTotal),
		mpb.PrependDecorators(decor.Name("goferry: "+s.Name+" ", decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + bar.text.Load().(string) })))
	t.bars[s.Name] = bar
	return bar
}

// onlyWithTotal leaves the bar out where it would mean nothing.
func onlyWithTotal(bar mpb.BarFiller) mpb.BarFiller {
	return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
		if s.Total <= 0 {
			return nil
		}
		return bar.Fill(w, s)
	})
}

// Write prints above the moving lines.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return t.under.Write(p)
	}
	return t.progress.Write(p)
}

func (t *terminal) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.stopWaiting()
	for _, bar := range t.bars {
		bar.Abort(false)
	}
	t.progress.Wait()
}
