package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
)

// auditSummaryOf reads a log that has to be as it was written, unless want is an error.
func auditSummaryOf(t *testing.T, name string, noted digest.Digest, want error) *auditSummary {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	summary, err := readAudit(f, noted)
	if !errors.Is(err, want) {
		t.Fatalf("readAudit = %v, want %v", err, want)
	}
	return summary
}

func TestAuditTogether(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			run := &trail{file: name, run: fmt.Sprint(i), command: "copy", begun: now()}
			for _, err := range []error{
				run.write(auditRecord{Event: "begin", auditWho: whoami()}),
				run.serving(map[string]digest.Digest{strings.Repeat("x", 10_000*i): ""}),
				run.end(nil),
			} {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if s := auditSummaryOf(t, name, "", nil); s.Records != 48 || s.Runs != 16 || len(s.Unfinished) != 0 {
		t.Errorf("the log has %+v, want 48 records of 16 runs", s)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode(); mode&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("others may read the log: %v", mode)
	}
}

// TestAuditChanged holds that no line can be changed, removed or added in silence, and none be cut off the end whose
// digest was noted.
func TestAuditChanged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	for i := range 4 {
		if err := appendAudit(name, &auditRecord{Time: time.Unix(int64(i), 0), Run: fmt.Sprint(i), Event: "begin"}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	last := auditSummaryOf(t, name, "", nil).Last
	lines := strings.SplitAfter(strings.TrimSuffix(string(data), "\n"), "\n")
	for what, changed := range map[string]string{
		"a line changed":        strings.Replace(string(data), `"run":"1"`, `"run":"9"`, 1),
		"a space added":         strings.Replace(string(data), `"event"`, ` "event"`, 1),
		"a line end changed":    strings.Replace(string(data), "}\n", "}\r\n", 1),
		"the first line gone":   strings.Join(lines[1:], "") + "\n",
		"a line gone":           lines[0] + lines[2] + lines[3] + "\n",
		"lines swapped":         lines[0] + lines[2] + lines[1] + lines[3] + "\n",
		"a line twice":          lines[0] + lines[0] + lines[1],
		"an empty line":         lines[0] + "\n" + lines[1],
		"the last line cut":     string(data[:len(data)-2]),
		"a foreign line":        string(data) + "hello\n",
		"the last line removed": lines[0] + lines[1] + lines[2], // the digest that was noted tells
		"nothing left":          "",
	} {
		t.Run(what, func(t *testing.T) {
			if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			auditSummaryOf(t, name, last, errAuditLog)
		})
	}
}

// TestAuditCut holds that a line which was cut stays as it is, and hides nothing behind it.
func TestAuditCut(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(`{"run":"1"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := appendAudit(name, &auditRecord{Run: "2", Event: "begin"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := strings.Cut(string(data), "\n")
	if before != `{"run":"1"` || !strings.Contains(after, `"previous":"`+digest.FromString(before).String()) {
		t.Errorf("the log is %q", data)
	}
	auditSummaryOf(t, name, "", errAuditLog)
}

func TestAuditRefused(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]error{dir: nil, filepath.Join(dir, "no", "log"): fs.ErrNotExist, os.DevNull: nil} {
		if err := appendAudit(name, new(auditRecord)); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("appendAudit(%s) = %v", name, err)
		}
	}
}

func TestRedactArgs(t *testing.T) {
	for line, want := range map[string]string{
		"copy oci:/media/me@home/x harbor.corp:443/go/app:v3":     "copy oci:/media/me@home/x harbor.corp:443/go/app:v3",
		"copy oci:me@home harbor.corp/go/app:v3@sha256:9f":        "copy oci:me@home harbor.corp/go/app:v3@sha256:9f",
		"copy docker://app:v3@sha256:9f x":                        "copy docker://app:v3@sha256:9f x",
		"pack --module golang.org/x/mod@v0.42.0 -o x":             "pack --module golang.org/x/mod@v0.42.0 -o x",
		"sign --key hashivault://release -a team=build x":         "sign --key hashivault://release -a team=build x",
		"verify --key env://KEY --key=https://me:s3cret@vault/ x": "verify --key env://KEY --key=https://***@vault/ x",
		"inspect https://s3cret@harbor.corp/x":                    "inspect https://***@harbor.corp/x",
		"inspect me:s3c@cret@harbor.corp/x":                       "inspect me:***@harbor.corp/x",
		"inspect https://harbor.corp/x?token=s3cret":              "inspect https://harbor.corp/x?***",
		"login -u me harbor.corp":                                 "login -u me harbor.corp",
		"login -u me:s3cret harbor.corp":                          "login -u me:*** harbor.corp",
		"login --username=me:s3cret harbor.corp":                  "login --username=me:*** harbor.corp",
		"sign -a access_token=s3cret x":                           "sign -a access_token=*** x",
		"rehearse x -- curl --header s3cret":                      "rehearse x -- curl (2 more)",
		"rehearse x GITHUB_TOKEN=s3cret make":                     "rehearse x GITHUB_TOKEN=*** make",
	} {
		if got := strings.Join(redactArgs(strings.Fields(line)), " "); got != want {
			t.Errorf("redactArgs(%s) = %s, want %s", line, got, want)
		}
	}
}
