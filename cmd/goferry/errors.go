package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/bundle/serve"
	"github.com/goferry/goferry/bundle/sumdb"
	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// The exit codes. They are API: never renumbered, and given a new meaning never.
const (
	exitDone         = 0
	exitFailed       = 1   // anything that has no code of its own
	exitUsage        = 2   // the command line, and what it names to follow and is none: keys, a policy, goferry.yaml
	exitMismatch     = 3   // a digest, sum, signature or structure is not what it has to be, or is not proven where it has to be
	exitNoAccess     = 4   // 401, 403, the wrong password of a key
	exitNetwork      = 5   // no connection, cut connection, 5xx
	exitIncomplete   = 6   // something that a bundle names is not there
	exitNoSpace      = 7   // disk or quota
	exitInterruption = 130 // 128 + SIGINT, as a shell has it
)

// errInterrupted stands for whatever happened after the user stopped the command. It is not
// context.Canceled, which is also how the rest of a copy ends when a part of it has failed.
var errInterrupted = errors.New("interrupted")

// exitCode is the only place where an error becomes a code. Where an error joins several,
// the first one in this order counts: what was found wrong weighs more than what could not
// be found out.
func exitCode(err error) int {
	var usage *usageError
	if err == nil {
		return exitDone
	}
	if errors.As(err, &usage) {
		return exitUsage
	}
	for _, c := range []struct {
		sentinel error
		code     int
	}{
		{errInterrupted, exitInterruption},
		{errGone, exitFailed},
		{oci.ErrUsage, exitUsage},
		{serve.ErrName, exitUsage},
		{gomod.ErrTool, exitUsage},
		{gomod.ErrLocal, exitUsage},
		{bundle.ErrLayerBudget, exitUsage},
		{bundle.ErrNotEmpty, exitUsage},
		{bundle.ErrMismatch, exitMismatch},
		{bundle.ErrNotInSumDB, exitMismatch},
		{gomod.ErrTaken, exitMismatch},
		{sumdb.ErrSecurity, exitMismatch},
		{oci.ErrDigest, exitMismatch},
		{bundle.ErrUntrusted, exitMismatch},
		{bundle.ErrRollback, exitMismatch},
		{bundle.ErrPolicy, exitUsage},
		{errAuditLog, exitMismatch},
		{signing.ErrPassword, exitNoAccess},
		{signing.ErrKey, exitUsage},
		{bundle.ErrIncomplete, exitIncomplete},
		{oci.ErrUnauthorized, exitNoAccess},
		{gomod.ErrAuth, exitNoAccess},
		{sumdb.ErrAuth, exitNoAccess},
		{oci.ErrNoSpace, exitNoSpace},
		{oci.ErrNetwork, exitNetwork},
		{gomod.ErrNetwork, exitNetwork},
		{sumdb.ErrNetwork, exitNetwork},
	} {
		if errors.Is(err, c.sentinel) || c.sentinel == oci.ErrNoSpace && oci.NoSpace(err) {
			return c.code
		}
	}
	return exitFailed
}

// report prints err and its hint, and returns the exit code.
func report(w io.Writer, err error) int {
	code := exitCode(err)
	if _, answered := err.(*answerError); answered || code == exitDone {
		return code
	}
	for line := range strings.Lines(errorText(err)) {
		tell(w, "error", strings.TrimSuffix(line, "\n"))
	}
	if h := hint(err); h != "" {
		tell(w, "hint", h)
	}
	return code
}

// errorText is what err says. A line begins only where errors are joined: what else would begin
// one was not written by goferry, and is escaped with all that is not printable.
func errorText(err error) string {
	all := err.Error()
	var parts []error
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		parts = e.Unwrap()
	case interface{ Unwrap() error }:
		parts = []error{e.Unwrap()}
	}
	var said, safe []string
	for _, p := range parts {
		if p != nil {
			said, safe = append(said, p.Error()), append(safe, errorText(p))
		}
	}
	if len(said) > 0 && all == strings.Join(said, "\n") {
		return strings.Join(safe, "\n")
	}
	var b strings.Builder
	for i, part := range said {
		if before, after, ok := strings.Cut(all, part); ok && strings.Contains(part, "\n") {
			b.WriteString(printable(before) + safe[i])
			all = after
		}
	}
	return b.String() + printable(all)
}

// tell prints one line for a person, with goferry's name and the kind of line it is ("" for
// none) before it.
func tell(w io.Writer, kind, text string) {
	if s, ok := w.(interface{ say(kind, text string) }); ok {
		s.say(kind, text)
		return
	}
	if kind != "" {
		kind += ": "
	}
	fmt.Fprintf(w, "goferry: %s%s\n", kind, printable(text))
}

// printable returns s with everything that is not a letter, mark, number, symbol or plain
// space escaped. Bundles and registries are not trusted with the terminal: escape sequences
// and characters that reorder text could make one line look like another.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if strconv.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			b.WriteString(s[:n])
		} else {
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		s = s[n:]
	}
	return b.String()
}

// A usageError is a mistake on the command line.
type usageError struct{ err error }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// An answerError is the answer to what a command was asked, which is told by the exit code as well: standard output has
// said it, and report says nothing more.
type answerError struct{ error }

// A hintedError carries what to type next.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

func withHint(err error, format string, args ...any) error {
	return &hintedError{err, fmt.Sprintf(format, args...)}
}
