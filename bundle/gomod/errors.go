package gomod

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

var (
	// ErrNoProject says that a directory is in no module.
	ErrNoProject = errors.New("no go.mod")
	// ErrNoDir says that what was named as a directory is none.
	ErrNoDir = errors.New("not a directory")
	// ErrUnknownToolchain says that there is no such Go version for a platform.
	ErrUnknownToolchain = errors.New("unknown toolchain")
	// ErrNetwork says that a proxy or a repository could not be reached.
	ErrNetwork = errors.New("network")
	// ErrAuth says that a proxy or a repository refused access.
	ErrAuth = errors.New("no access")
)

// A ModuleError says that a module cannot be had. Several come joined with
// [errors.Join]. errors.Is finds [ErrNetwork] and [ErrAuth] in it.
type ModuleError struct {
	Path, Version string
	Err           string // what the go command said
}

func (e *ModuleError) Error() string {
	name := e.Path
	if e.Version != "" && !strings.Contains(e.Err, e.Path+"@"+e.Version) {
		name += "@" + e.Version
	} else if strings.Contains(e.Err, e.Path) {
		return oneLine(e.Err)
	}
	return name + ": " + oneLine(e.Err)
}

func (e *ModuleError) Unwrap() error { return classify(e.Err) }

// A CommandError says that the go command failed as a whole.
type CommandError struct {
	Args  []string // without "go"
	Lines []string // the last of what it wrote to standard error, a complaint each
}

// newCommandError keeps of the lines those that are likely to tell why.
func newCommandError(args, lines []string) *CommandError {
	const keep = 8
	lines = complaints(lines)
	if len(lines) > keep {
		lines = lines[len(lines)-keep:]
	}
	return &CommandError{Args: args, Lines: lines}
}

func (e *CommandError) Error() string {
	var args []string
	for _, a := range e.Args {
		if !strings.HasPrefix(a, "-modfile=") {
			args = append(args, a)
		}
	}
	if len(args) > 5 {
		args = append(args[:5:5], "…")
	}
	text := "exited without a message"
	if len(e.Lines) > 0 {
		text = oneLine(strings.Join(e.Lines, "; "))
	}
	return fmt.Sprintf("go %s: %s", strings.Join(args, " "), strings.TrimPrefix(text, "go: "))
}

func (e *CommandError) Unwrap() error { return classify(strings.Join(e.Lines, "\n")) }

// classify finds the cause in the words of the go command, the only form in
// which it gives one; nil if it is none that callers act on. A full disk is the
// system's own error.
func classify(text string) error {
	switch {
	case strings.Contains(text, syscall.ENOSPC.Error()):
		return syscall.ENOSPC
	case authText.MatchString(text):
		return ErrAuth
	case networkText.MatchString(text):
		return ErrNetwork
	}
	return nil
}

var (
	authText    = regexp.MustCompile(`\b(401 Unauthorized|403 Forbidden|407 Proxy Auth)|could not read Username|Permission denied \(publickey|Authentication failed`)
	networkText = regexp.MustCompile(`dial (tcp|udp|unix)|lookup \S+.*: (no such host|server misbehaving)|i/o timeout|TLS handshake|connection (refused|reset)|unexpected EOF|Client\.Timeout|\b5\d\d (Internal Server|Bad Gateway|Service Unavailable|Gateway Time)|Could not resolve host|x509: |tls: `)
)

// oneLine makes text from elsewhere fit to stand in an error message: one
// line, and nothing that a terminal would obey.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	quoted := strconv.Quote(text)
	if quoted = quoted[1 : len(quoted)-1]; len(quoted) == len(text) {
		return text
	}
	return strings.ReplaceAll(quoted, `\"`, `"`)
}
