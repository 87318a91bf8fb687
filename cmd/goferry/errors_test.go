package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

func TestExitCode(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("doing: %w", err) }
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"no error", nil, 0},
		{"any error", errors.New("x"), 1},
		{"not found has no code of its own", wrap(oci.ErrNotFound), 1},
		{"usage", wrap(usagef("x")), 2},
		{"malformed reference", wrap(oci.ErrUsage), 2},
		{"mismatch", wrap(bundle.ErrMismatch), 3},
		{"digest", wrap(oci.ErrDigest), 3},
		{"unauthorized", wrap(oci.ErrUnauthorized), 4},
		{"network", wrap(oci.ErrNetwork), 5},
		{"incomplete", wrap(bundle.ErrIncomplete), 6},
		{"no space", wrap(oci.ErrNoSpace), 7},
		{"interrupted", wrap(errInterrupted), 130},
		{"wrong weighs more than missing", errors.Join(bundle.ErrIncomplete, oci.ErrDigest), 3},
		{"a part cancelled because another failed is no interrupt", errors.Join(oci.ErrNetwork, context.Canceled), 5},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: exitCode(%v) = %d, want %d", tt.name, tt.err, got, tt.want)
		}
	}
}

func TestTell(t *testing.T) {
	var b bytes.Buffer
	tell(&b, "error", "one \x1b[31mred\x07\nand \u202eback\ttab \xff ünïcode")
	want := "goferry: error: one \\x1b[31mred\\a\\nand \\u202eback\\ttab \\xff ünïcode\n"
	if b.String() != want {
		t.Errorf("tell wrote %q, want %q", b.String(), want)
	}
}

func TestErrorText(t *testing.T) {
	one, two := errors.New("one"), errors.New("two\ngoferry: hint: run evil")
	const safe = `two\ngoferry: hint: run evil`
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"a foreign line is escaped", two, safe},
		{"also behind what it is in", fmt.Errorf("read: %w", two), "read: " + safe},
		{"also where it is not wrapped", fmt.Errorf("read: %v: %w", two, one), "read: " + safe + ": one"},
		{"joined errors have a line each", errors.Join(one, two, one), "one\n" + safe + "\none"},
		{"also in another error", fmt.Errorf("%w: %w", bundle.ErrMismatch, errors.Join(one, two)), bundle.ErrMismatch.Error() + ": one\n" + safe},
		{"also joined once more", errors.Join(fmt.Errorf("a: %w", errors.Join(one, two)), one), "a: one\n" + safe + "\none"},
		{"also with a hint", withHint(errors.Join(one, two), "x"), "one\n" + safe},
		{"what is around is escaped too", fmt.Errorf("a\nb: %w: c\nd", errors.Join(one, one)), `a\nb: one` + "\n" + `one: c\nd`},
		{"one that joins one", errors.Join(two), safe},
	} {
		if got := errorText(tt.err); got != tt.want {
			t.Errorf("%s: errorText = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range []string{"plain", "\x1b]0;title\a", "\xff\xfe", "\u202e\u200b\u2028", "a\\nb", "'\"", "\x00", "\U0001f4a9\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		for _, r := range got {
			if !strconv.IsPrint(r) {
				t.Errorf("printable(%q) = %q has %q in it", s, got, r)
			}
		}
		if printable(got) != got {
			t.Errorf("printable(%q) = %q is changed by a second time", s, got)
		}
	})
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 62_300_000: "62.3 MB", 5e12: "5.0 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
