package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// passwordVariable is the one that cosign reads too. It counts where it is set, even to nothing.
const passwordVariable = "COSIGN_PASSWORD"

// keyPassword returns the password of a private key: the variable's, the person's at the
// terminal, or what standard input holds.
func keyPassword(c *cli.Context, ref string) ([]byte, error) {
	if value, ok := os.LookupEnv(passwordVariable); ok {
		return []byte(value), nil
	}
	if fd, ok := terminalOf(c); ok {
		return ask(c, fd, fmt.Sprintf("password of the key %q", ref))
	}
	return pipedPassword(c)
}

// newKeyPassword is keyPassword for a key that is made. A person types it twice.
func newKeyPassword(c *cli.Context) ([]byte, error) {
	fd, ok := terminalOf(c)
	if _, set := os.LookupEnv(passwordVariable); set || !ok {
		return keyPassword(c, "")
	}
	first, err := ask(c, fd, "password of the new key")
	if err != nil {
		return nil, err
	}
	second, err := ask(c, fd, "the same again")
	if err == nil && !bytes.Equal(first, second) {
		err = errors.New("the two passwords are not the same")
	}
	return first, err
}

func pipedPassword(c *cli.Context) ([]byte, error) {
	var password string
	err := usagef("the key needs a password, and standard input has that of --username")
	if !c.Bool("password-stdin") {
		password, err = readPassword(c.App.Reader)
	}
	if err != nil {
		return nil, withHint(err, "set %s; a key without a password has it empty", passwordVariable)
	}
	return []byte(password), nil
}

func terminalOf(c *cli.Context) (fd int, ok bool) {
	f, ok := c.App.Reader.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// ask asks the person at the terminal, without showing what is typed.
func ask(c *cli.Context, fd int, what string) ([]byte, error) {
	stderr, forPrograms := c.App.ErrWriter.(*events)
	if forPrograms {
		stderr.say("prompt", what)
	} else {
		fmt.Fprintf(c.App.ErrWriter, "goferry: %s: ", printable(what))
		defer fmt.Fprintln(c.App.ErrWriter)
	}
	password, err := readHidden(c.Context, fd)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	return password, nil
}
