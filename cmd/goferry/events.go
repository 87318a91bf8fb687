package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/goferry/goferry/bundle"
)

// events is standard error for programs, which --progress json asks for: each line is a JSON object, whose "event" says
// what it is. Fields are added, never renamed, and unknown ones and unknown events are to be skipped.
//
//	progress   how far a stage has come: stage, item (the last one), items, totalItems, bytes, totalBytes, and how
//	           much of them was there already: skippedItems, skippedBytes. Now and then, and when the command ends.
//	warning, note, hint, error
//	           text for people. An error here does not end the command, as when a server cannot renew a bundle.
//	output     text: a line of something else that writes there, such as a rehearsed command
//	prompt     text: what a person is asked to type
//	access     a request that serve answered
//	end        the last line: exitCode, and where it is not 0, error and maybe hint
//
// All but access have seconds, since goferry was started. A killed goferry writes no end.
type events struct {
	began  time.Time
	stages lines

	mu    sync.Mutex
	under io.Writer
	part  []byte // of a line of output
	quiet bool   // no progress, no notes
}

// A remark is an event that is text.
type remark struct {
	Event   string  `json:"event"`
	Text    string  `json:"text"`
	Seconds float64 `json:"seconds"`
}

type endEvent struct {
	Event    string  `json:"event"`
	ExitCode int     `json:"exitCode"`
	Error    string  `json:"error,omitempty"`
	Hint     string  `json:"hint,omitempty"`
	Seconds  float64 `json:"seconds"`
}

func newEvents(w io.Writer) *events {
	e := &events{began: time.Now(), under: w}
	e.stages = lines{every: 250 * time.Millisecond, print: e.progress}
	return e
}

// wantsEvents says whether the words of a command line ask for events. It is asked before they are read as flags, as
// what is wrong with them is an event too.
func wantsEvents(args []string) bool {
	wants := false
	for i, arg := range args {
		if arg == "--" {
			break
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if name != "progress" || !strings.HasPrefix(arg, "-") {
			continue
		}
		if !hasValue && i+1 < len(args) {
			value = args[i+1]
		}
		wants = value == "json"
	}
	return wants
}

// seconds is the time since the start, to the millisecond.
func (e *events) seconds() float64 { return math.Round(time.Since(e.began).Seconds()*1e3) / 1e3 }

func (e *events) event(b bundle.Event) {
	if !e.quiet {
		e.stages.event(b)
	}
}

func (e *events) close() { e.stages.close() }

func (e *events) progress(_ io.Writer, s *stage) {
	shown := *s
	shown.Item = printable(s.Item)
	e.write(struct {
		Event string `json:"event"`
		stage
		Seconds float64 `json:"seconds"`
	}{"progress", shown, e.seconds()})
}

// say is tell for programs.
func (e *events) say(kind, text string) {
	e.write(remark{cmp.Or(kind, "note"), printable(text), e.seconds()})
}

// end writes the last event, and returns the exit code.
func (e *events) end(err error) int {
	e.close()
	e.mu.Lock()
	cut := len(e.part) > 0
	e.mu.Unlock()
	if cut {
		e.Write([]byte("\n"))
	}
	last := endEvent{Event: "end", ExitCode: exitCode(err), Seconds: e.seconds()}
	if err != nil {
		last.Error, last.Hint = errorText(err), printable(hint(err))
	}
	e.write(last)
	return last.ExitCode
}

func (e *events) write(event any) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if enc.Encode(event) == nil { // it is made of strings and numbers
		eventLine{e}.Write(line.Bytes())
	}
}

// longestOutput is where a line of output is cut that does not end.
const longestOutput = 64 << 10

// Write takes what is not said with tell, and makes events of its lines.
func (e *events) Write(p []byte) (int, error) {
	e.mu.Lock()
	var whole []string
	e.part = append(e.part, p...)
	for line := range bytes.Lines(e.part) {
		if !bytes.HasSuffix(line, []byte("\n")) && len(line) < longestOutput {
			e.part = slices.Clone(line)
			break
		}
		whole = append(whole, strings.TrimRight(string(line), "\r\n"))
		e.part = nil
	}
	e.mu.Unlock()
	for _, text := range whole {
		e.say("output", text)
	}
	return len(p), nil
}

// An eventLine writes lines that are events already.
type eventLine struct{ *events }

func (e eventLine) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.under.Write(p)
}
