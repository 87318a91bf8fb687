package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"flags in front stay", "pack -o x", "pack -o x --"},
		{"flags behind arguments go in front", "copy a b --plain-http", "copy --plain-http -- a b"},
		{"between them too", "unpack a --extract b", "unpack --extract -- a b"},
		{"a value follows its flag", "verify a --format json", "verify --format json -- a"},
		{"a value after the equals sign", "verify a --format=json", "verify --format=json -- a"},
		{"a bool flag takes no value", "copy -q a b", "copy -q -- a b"},
		{"a bool flag with a value", "copy --quiet=false a b", "copy --quiet=false -- a b"},
		{"a repeated flag keeps its order", "pack -C a -C b -o x", "pack -C a -C b -o x --"},
		{"a value may look like a flag", "pack -C --x -o y", "pack -C --x -o y --"},
		{"behind -- all are arguments", "copy -q -- -a --b", "copy -q -- -a --b"},
		{"- is an argument", "env -", "env -- -"},
		{"one dash is as good as two", "verify -format json a", "verify -format json -- a"},
		{"help wins", "copy a b c --help", "copy --help"},
		{"an alias of a command", "push a -q b", "push -q -- a b"},
		{"--version is a command", "--version --format json", "version --format json --"},
		{"nothing", "", ""},
		{"an unknown command is root's to refuse", "frob --x", "frob --x"},
		{"completion is left alone", "pack --sc --generate-bash-completion", "pack --sc --generate-bash-completion"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := newApp(strings.NewReader(""), io.Discard, io.Discard)
			got, err := arrange(app, append([]string{"goferry"}, strings.Fields(tt.in)...))
			if want := append([]string{"goferry"}, strings.Fields(tt.want)...); err != nil || !slices.Equal(got, want) {
				t.Errorf("arrange(%q) = %q, %v, want %q", tt.in, got, err, want)
			}
		})
	}
}

func TestArrangeRefuses(t *testing.T) {
	for _, tt := range []struct{ in, err, hint string }{
		{"pack --platfrom x", `pack: unknown flag "--platfrom"`, `did you mean "--platform"?`},
		{"pack --zzzzzz", `pack: unknown flag "--zzzzzz"`, `list the flags with "goferry help pack"`},
		{"verify a --formta=json", `verify: unknown flag "--formta"`, `did you mean "--format"?`},
		{"pack -o", `flag -o needs a value`, ""},
		{"--verify", `unknown flag "--verify"`, `did you mean "goferry verify"?`},
		{"--plain-http copy a b", `unknown flag "--plain-http"`, `a command comes first; list them with "goferry help"`},
	} {
		app := newApp(strings.NewReader(""), io.Discard, io.Discard)
		_, err := arrange(app, append([]string{"goferry"}, strings.Fields(tt.in)...))
		if err == nil || exitCode(err) != exitUsage || err.Error() != tt.err || hint(err) != tt.hint {
			t.Errorf("arrange(%q): %v (exit %d, hint %q), want %s (hint %q)", tt.in, err, exitCode(err), hint(err), tt.err, tt.hint)
		}
	}
}

func TestNearest(t *testing.T) {
	commands := []string{"pack", "copy", "push", "pull", "inspect", "verify", "unpack", "env"}
	for word, want := range map[string]string{
		"pakc": "pack", "verfy": "verify", "unpak": "unpack", "inspct": "inspect", "xyzzy": "", "": "", "e": "", "serve": "",
	} {
		if got := nearest(word, commands); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
