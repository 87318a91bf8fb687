package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/goferry/goferry/oci"
)

func loginCommand() *cli.Command {
	return &cli.Command{
		Name:      "login",
		Usage:     "log in to a registry",
		ArgsUsage: "HOST",
		Description: "goferry login -u me harbor.corp\n" +
			"goferry login -u robot --password-stdin harbor.corp < token\n\n" +
			"The password is tried on the registry, and kept where Docker keeps it: by the credential\n" +
			"helper that its configuration names, else in the file itself ($DOCKER_CONFIG or ~/.docker).",
		Flags:  registryFlags(),
		Action: login,
	}
}

func logoutCommand() *cli.Command {
	return &cli.Command{
		Name:        "logout",
		Usage:       "forget the password of a registry",
		ArgsUsage:   "HOST",
		Description: "goferry logout harbor.corp",
		Action:      logout,
	}
}

func login(c *cli.Context) error {
	args, err := arguments(c, "HOST")
	if err != nil {
		return err
	}
	if c.String("username") == "" {
		return withHint(usagef("login: --username is missing"), "goferry login -u NAME %s", args[0])
	}
	opts, err := connectionOptions(c)
	if err != nil {
		return err
	}
	var password string
	if c.Bool("password-stdin") {
		password, err = readPassword(c.App.Reader)
	} else {
		password, err = askPassword(c, args[0])
	}
	if err != nil {
		return err
	}
	username := c.String("username")
	if err := oci.Login(c.Context, args[0], opts, username, password); err != nil {
		return err
	}
	tell(c.App.ErrWriter, "", "logged in to "+args[0]+" as "+username)
	return nil
}

// askPassword asks the person at the terminal.
func askPassword(c *cli.Context, host string) (string, error) {
	fd, ok := terminalOf(c)
	if !ok {
		return "", withHint(usagef("login: no terminal to ask for the password on"), "goferry login -u NAME --password-stdin %s < FILE", host)
	}
	password, err := ask(c, fd, fmt.Sprintf("password of %s at %s", c.String("username"), host))
	return string(password), err
}

// readHidden is [term.ReadPassword] that an interrupt ends, and the terminal shows again
// what is typed.
func readHidden(ctx context.Context, fd int) ([]byte, error) {
	state, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	type result struct {
		password []byte
		err      error
	}
	read := make(chan result, 1)
	go func() {
		password, err := term.ReadPassword(fd)
		read <- result{password, err}
	}()
	select {
	case r := <-read:
		return r.password, r.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, state))
	}
}

func logout(c *cli.Context) error {
	args, err := arguments(c, "HOST")
	if err != nil {
		return err
	}
	if err := oci.Logout(c.Context, args[0], oci.Options{DockerConfig: dockerConfig()}); err != nil {
		return err
	}
	tell(c.App.ErrWriter, "", "logged out of "+args[0])
	return nil
}
