package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/goferry/goferry/bundle"
)

// TestEvents holds that whatever is said, and however it is written, each line is an event.
func TestEvents(t *testing.T) {
	var out bytes.Buffer
	e := newEvents(&out)
	tell(e, "", "one")
	tell(e, "warning", "two\n\x1b[2K\u202e")
	e.Write([]byte("a li"))
	e.Write([]byte("ne\r\nand\nanother"))
	fmt.Fprint(e, strings.Repeat("x", longestOutput))
	e.event(bundle.Event{Stage: "copy", Item: "a\u202e", Items: 1, Bytes: 10, TotalItems: 2, Skipped: true})
	fmt.Fprint(e, "cut")
	if code := e.end(withHint(errors.Join(usagef("no"), errors.New("never")), "try")); code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	var kinds []string
	for line := range strings.Lines(out.String()) {
		var event struct{ Event, Text, Item, Error string }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		kinds = append(kinds, event.Event)
		if strings.Contains(line, "\u202e") {
			t.Errorf("%q could reorder text", line)
		}
		if event.Event == "end" && event.Error != "no\nnever" {
			t.Errorf("the last error is %q", event.Error)
		}
		if event.Event == "progress" && !strings.Contains(line, `"skippedItems":1,"skippedBytes":10`) {
			t.Errorf("%q tells nothing of what was there", line)
		}
	}
	want := []string{"note", "warning", "output", "output", "output", "progress", "output", "end"}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
}

func TestWantsEvents(t *testing.T) {
	for line, want := range map[string]bool{
		"verify --progress json x":                  true,
		"verify -progress=json x":                   true,
		"verify --progress json --progress plain x": false,
		"verify --progress":                         false,
		"rehearse x -- make --progress json":        false,
		"copy progress=json x":                      false,
	} {
		if got := wantsEvents(strings.Fields("goferry " + line)); got != want {
			t.Errorf("wantsEvents(%s) = %v", line, got)
		}
	}
}

// checkEvents checks the lines of a file, or of the standard error of the last command.
func checkEvents(ts *testscript.TestScript, neg bool, args []string) {
	var last string
	for line := range strings.Lines(ts.ReadFile(cmp.Or(strings.Join(args, ""), "stderr"))) {
		var event struct {
			Event   string
			Seconds *float64
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			ts.Fatalf("%q: %v", line, err)
		}
		if event.Event == "" || event.Seconds == nil && event.Event != "access" {
			ts.Fatalf("%q is no event", line)
		}
		last = event.Event
	}
	if last != "end" {
		ts.Fatalf("the last event is %q", last)
	}
}

// whole holds that a stage's last event has all that was announced.
func whole(ts *testscript.TestScript, neg bool, args []string) {
	var last stage
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		var event stage
		if err := json.Unmarshal([]byte(line), &event); err == nil && event.Name == args[0] {
			last = event
		}
	}
	if last.Items == 0 || last.Items != last.TotalItems || last.Bytes != last.TotalBytes {
		ts.Fatalf("%s ends with %d of %d items and %d of %d bytes", args[0], last.Items, last.TotalItems, last.Bytes, last.TotalBytes)
	}
}
