package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
)

// A display shows how far a command has come, on standard error. What is written to it is
// for people as well, and is kept apart from lines that move.
type display interface {
	event(bundle.Event)
	io.Writer
	close() // shows the last state; may be called again
}

func progressFlag() cli.Flag {
	return &cli.StringFlag{Name: "progress", Value: "auto", Usage: "show progress as `auto|plain|json|off`; auto moves lines on a terminal, and elsewhere prints one each half minute"}
}

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress and no notes, only warnings and errors"}
}

// newDisplay returns the display that the flags ask for.
func newDisplay(c *cli.Context) (display, error) {
	show, err := chooseDisplay(c)
	if t := trailOf(c.Context); t != nil && err == nil {
		return audited{show, t}, nil
	}
	return show, err
}

func chooseDisplay(c *cli.Context) (display, error) {
	mode, w := c.String("progress"), c.App.ErrWriter
	if e, ok := w.(*events); ok {
		e.quiet = c.Bool("quiet")
		return e, nil
	}
	if mode == "auto" {
		mode = "log"
		if isTerminal(w) && os.Getenv("TERM") != "dumb" {
			mode = "terminal"
		}
	}
	if c.Bool("quiet") {
		mode = "off"
	}
	switch mode {
	case "terminal":
		return newTerminal(w, c.Command.Name), nil
	case "plain":
		return &lines{Writer: w, every: 3 * time.Second, print: plainLine}, nil
	case "log":
		return newLog(w, c.Command.Name), nil
	case "off", "": // a command without the flag shows nothing
		return silent{w}, nil
	}
	return nil, usagef("unknown progress %q: it is auto, plain, json or off", mode)
}

// silent shows nothing.
type silent struct{ io.Writer }

func (silent) event(bundle.Event) {}
func (silent) close()             {}

// A stage is what is known of one stage of a command. Its JSON form is a part of the event, see [events].
type stage struct {
	Name       string `json:"stage"`
	Item       string `json:"item,omitempty"`
	Items      int    `json:"items"`
	TotalItems int    `json:"totalItems,omitempty"`
	Bytes      int64  `json:"bytes"`
	TotalBytes int64  `json:"totalBytes,omitempty"`

	SkippedItems int   `json:"skippedItems,omitempty"` // of Items, those that were there already
	SkippedBytes int64 `json:"skippedBytes,omitempty"` // of Bytes, likewise

	began, shown time.Time
	fresh        bool // changed since it was shown
}

func (s *stage) add(e bundle.Event) {
	s.Items += e.Items
	s.Bytes += e.Bytes
	if e.Skipped {
		s.SkippedItems += e.Items
		s.SkippedBytes += e.Bytes
	}
	if e.Item != "" {
		s.Item = e.Item
	}
	s.TotalItems = max(s.TotalItems, e.TotalItems)
	s.TotalBytes = max(s.TotalBytes, e.TotalBytes)
	if s.TotalItems > 0 { // it came to more than was announced
		s.TotalItems = max(s.TotalItems, s.Items)
	}
	if s.TotalBytes > 0 {
		s.TotalBytes = max(s.TotalBytes, s.Bytes)
	}
	s.fresh = true
}

// rate is in bytes a second, zero in the first moments, when it would mean nothing.
func (s *stage) rate() int64 {
	if d := time.Since(s.began); d > 100*time.Millisecond {
		return int64(float64(s.Bytes) / d.Seconds())
	}
	return 0
}

// String is "12/220 modules, 3.4 MB/211.0 MB, 48.1 MB/s" without what is not known.
func (s *stage) String() string {
	text := count(s.Items, s.unit())
	if s.TotalItems > 0 {
		text = fmt.Sprintf("%d/%s", s.Items, count(s.TotalItems, s.unit()))
	}
	if s.Bytes > 0 {
		text += ", " + size(s.Bytes)
		if s.TotalBytes > 0 {
			text += "/" + size(s.TotalBytes)
		}
		if r := s.rate(); r > 0 {
			text += ", " + size(r) + "/s"
		}
	}
	return text
}

// unit is what the items of the stage are.
func (s *stage) unit() string {
	switch s.Name {
	case "sign":
		return "manifest"
	case "rehearse":
		return "command"
	case "copy", "repair":
		return "blob"
	case "push":
		return "layer"
	}
	return "module"
}

// lines prints a line for each stage now and then, and one when it is over.
type lines struct {
	io.Writer
	every time.Duration
	print func(io.Writer, *stage)

	mu     sync.Mutex
	stages []*stage
}

func (l *lines) event(e bundle.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := find(&l.stages, e.Stage)
	s.add(e)
	if now := time.Now(); now.Sub(s.shown) >= l.every {
		l.show(s, now)
	}
}

func (l *lines) show(s *stage, now time.Time) {
	l.print(l.Writer, s)
	s.shown, s.fresh = now, false
}

func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.showFresh()
}

// showFresh shows the stages that have changed, and says whether there are any.
func (l *lines) showFresh() (shown bool) {
	for _, s := range l.stages {
		if s.fresh {
			l.show(s, time.Now())
			shown = true
		}
	}
	return shown
}

// logLines is for who is no terminal, as a log is: nothing for what is soon over, else a line each half minute, so that
// nobody takes the command for dead.
type logLines struct {
	lines
	command string
	began   time.Time
	timer   *time.Timer
	closed  bool
}

const logInterval = 30 * time.Second

func newLog(w io.Writer, command string) *logLines {
	l := &logLines{lines: lines{Writer: w, every: math.MaxInt64, print: plainLine}, command: command, began: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(logInterval, l.tick)
	return l
}

// tick prints what has changed, or for how long nothing has been to be told.
func (l *logLines) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if !l.showFresh() {
		tell(l.Writer, "", fmt.Sprintf("%s: since %s", l.command, time.Since(l.began).Round(time.Second)))
	}
	l.timer.Reset(logInterval)
}

func (l *logLines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.timer.Stop()
}

// find returns the stage with the name, new at the end of the list if need be.
func find(stages *[]*stage, name string) *stage {
	for _, s := range *stages {
		if s.Name == name {
			return s
		}
	}
	now := time.Now()
	s := &stage{Name: name, began: now, shown: now}
	*stages = append(*stages, s)
	return s
}

func plainLine(w io.Writer, s *stage) { tell(w, "", s.Name+": "+s.String()) }
