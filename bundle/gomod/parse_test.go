package gomod

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/mod/module"
)

func TestParseSums(t *testing.T) {
	good := "example.com/a v1.0.0 h1:x=\nexample.com/a v1.0.0/go.mod h1:y=\n\nexample.com/a v1.0.0 h2:z=\nexample.com/old v1.0.0/go.mod " + emptyGoModSum + "\n"
	sums, err := parseSums("go.sum", []byte(good))
	if err != nil || len(sums) != 2 || sums[module.Version{Path: "example.com/a", Version: "v1.0.0/go.mod"}] != "h1:y=" {
		t.Errorf("parseSums = %v, %v", sums, err)
	}
	for _, bad := range []string{"a b\n", "a b c d\n", "a v1 h1:x\na v1 h1:y\n", "<<<<<<< HEAD\n"} {
		if _, err := parseSums("go.sum", []byte(bad)); err == nil {
			t.Errorf("parseSums(%q) has no error", bad)
		}
	}
}

func FuzzParseSums(f *testing.F) {
	for _, s := range []string{"", "a v1 h1:x=\n", "a v1 h1:x=", "\x00 \xff h1:\n", "a v1 h1:x\na v1 h1:y\n", strings.Repeat("a", 9000) + "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sums, err := parseSums("go.sum", data)
		for m, sum := range sums {
			if err != nil || m.Path == "" || m.Version == "" || !strings.HasPrefix(sum, "h1:") {
				t.Errorf("parseSums(%q): %v %q, %v", data, m, sum, err)
			}
		}
	})
}

func FuzzNormalInfo(f *testing.F) {
	for _, s := range []string{
		`{}`, `null`, `[]`, `{"Version":"v9","Time":"2024-05-06T07:08:09+02:00"}`, `{"Time":"0001-01-01T00:00:00Z"}`,
		`{"Time":null}`, `{"Time":"-1"}`, `{"version":"v2","TIME":"9999-12-31T23:59:59-23:59"}`, `{"Version":`, "\xff",
	} {
		f.Add([]byte(s))
	}
	m := module.Version{Path: "example.com/a", Version: "v1.0.0"}
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := normalInfo(m, data)
		if err != nil {
			return
		}
		var got struct{ Version string }
		if err := json.Unmarshal(info, &got); err != nil || got.Version != m.Version {
			t.Errorf("normalInfo(%q) = %s", data, info)
		}
		if again, err := normalInfo(m, info); err != nil || string(again) != string(info) {
			t.Errorf("normalInfo(%s) = %s, %v", info, again, err)
		}
	})
}

func TestNormalInfo(t *testing.T) {
	m := module.Version{Path: "example.com/a", Version: "v1.0.0"}
	for in, want := range map[string]string{
		`{"Version":"v1.0.0","Time":"2024-05-06T09:08:09+02:00","Origin":{"VCS":"git"}}`: `{"Version":"v1.0.0","Time":"2024-05-06T07:08:09Z"}`,
		"{\n\t\"Time\": \"0001-01-01T00:00:00Z\"}\n":                                     `{"Version":"v1.0.0"}`,
		`{"Version":"v1.0.0-other"}`:                                                     `{"Version":"v1.0.0"}`,
	} {
		if got, err := normalInfo(m, []byte(in)); err != nil || string(got) != want {
			t.Errorf("normalInfo(%s) = %s, %v, want %s", in, got, err, want)
		}
	}
}

// What the go command says is text: these are sentences of go1.26 and git.
func TestClassify(t *testing.T) {
	for text, want := range map[string]error{
		"write /tmp/x/go.sum: no space left on device":                                           syscall.ENOSPC,
		"reading https://p.corp/x/@v/v1.zip: 401 Unauthorized":                                   ErrAuth,
		"reading https://p.corp/x/@v/v1.zip: 403 Forbidden\n\tserver response: no":               ErrAuth,
		"fatal: could not read Username for 'https://git.corp': terminal prompts disabled":       ErrAuth,
		"Get \"https://p.corp\": dial tcp: lookup p.corp on 10.0.0.1:53: no such host":           ErrNetwork,
		"Get \"https://p.corp\": dial tcp 10.0.0.1:443: connect: connection refused":             ErrNetwork,
		"reading https://p.corp/x/@v/v1.zip: 502 Bad Gateway":                                    ErrNetwork,
		"Get \"https://p.corp\": tls: failed to verify certificate: x509: certificate signed by": ErrNetwork,
		"module example.com/x: reading https://p.corp/x/@v/list: 404 Not Found":                  nil,
		"module lookup disabled by GOPROXY=off":                                                  nil,
	} {
		if got := (&ModuleError{"x", "v1", text}).Unwrap(); !errors.Is(got, want) {
			t.Errorf("classify(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestComplaints(t *testing.T) {
	got := complaints([]string{"go: finding module for package x", "go: a imports", "\tb: no", "go: found y in z v1", "go: c"})
	if want := []string{"go: a imports\tb: no", "go: c"}; !slices.Equal(got, want) {
		t.Errorf("complaints = %q, want %q", got, want)
	}
}

func FuzzOneLine(f *testing.F) {
	for _, s := range []string{"a\nb", "\x1b[2Jgone", "a\r\nb", "\u202e", `"q"`, "\xff", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := oneLine(s)
		if strings.ContainsAny(got, "\n\r\x1b\x00") || !utf8.ValidString(got) {
			t.Errorf("oneLine(%q) = %q", s, got)
		}
	})
}

func TestLineWriter(t *testing.T) {
	var events []string
	w := &lineWriter{progress: func(e Event) { events = append(events, e.Module) }}
	for _, chunk := range []string{"go: down", "loading example.com/a v1.0.0\ngo: one\n\n\tt", "wo\r\nrest"} {
		w.Write([]byte(chunk))
	}
	if !slices.Equal(events, []string{"example.com/a@v1.0.0"}) || !slices.Equal(w.lines, []string{"go: one", "\ttwo"}) {
		t.Errorf("events %q, lines %q", events, w.lines)
	}
}

func TestCommandErrorText(t *testing.T) {
	err := newCommandError([]string{"mod", "tidy", "-modfile=x", "-e"}, []string{
		"go: finding module for package example.com/x",
		"go: example.com/a@v1.1.0 requires", "\texample.com/c@v1.1.0: parsing go.mod:", "\tmodule declares its path as: example.com/d",
		"go: and another",
	})
	want := "go mod tidy -e: example.com/a@v1.1.0 requires example.com/c@v1.1.0: parsing go.mod: module declares its path as: example.com/d; go: and another"
	if err.Error() != want {
		t.Errorf("Error() = %q, want %q", err, want)
	}
}
