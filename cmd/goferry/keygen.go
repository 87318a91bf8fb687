package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/signing"
)

func keygenCommand() *cli.Command {
	return &cli.Command{
		Name:  "keygen",
		Usage: "make a key pair to sign bundles with",
		Description: "goferry keygen --out release\n" +
			"goferry keygen --import rsa.pem --out release\n\n" +
			"PREFIX.key is the private key, encrypted with a password, and PREFIX.pub the public one, both as\n" +
			"cosign has them. The password is asked for twice; without a terminal it is COSIGN_PASSWORD, or\n" +
			"what is on standard input. A file that is there is not replaced. Keys that are made are ECDSA on\n" +
			"P-256; one that is imported may also be RSA of 2048 bits and more, ECDSA on P-384, or Ed25519.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Aliases: []string{"o"}, Value: "goferry", Usage: "write `PREFIX`.key and PREFIX.pub"},
			&cli.StringFlag{Name: "import", Usage: "take the private key in `FILE` (PEM, not encrypted) instead of making one"},
		},
		Action: keygen,
	}
}

func keygen(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	privateFile, publicFile := c.String("out")+".key", c.String("out")+".pub"
	for _, name := range []string{privateFile, publicFile} {
		if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return keyIsThere(name, err)
		}
	}
	private, public, err := newKey(c)
	if err != nil {
		return err
	}
	if err := createFile(privateFile, private, 0o600); err != nil {
		return err
	}
	if err := createFile(publicFile, public, 0o644); err != nil {
		return errors.Join(err, os.Remove(privateFile))
	}
	if made, err := signing.ParseVerifier(public); err == nil {
		trailOf(c.Context).key(privateFile, made.ID(), "make")
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s\n%s\n", privateFile, publicFile)
	return err
}

func newKey(c *cli.Context) (private, public []byte, err error) {
	file := c.String("import")
	if file == "" {
		password, err := newKeyPassword(c)
		if err != nil {
			return nil, nil, err
		}
		return signing.GenerateKey(password)
	}
	data, err := readSmall(file, maxKeyFile)
	if err != nil {
		return nil, nil, keyError(file, err)
	}
	password, err := newKeyPassword(c)
	if err != nil {
		return nil, nil, err
	}
	private, public, err = signing.ImportKey(data, password)
	return private, public, keyError(file, err)
}

func keyIsThere(name string, err error) error {
	if err != nil {
		return err
	}
	return withHint(fmt.Errorf("%s is there already, and is not replaced", name), "name another with --out")
}

// createFile writes a file that is not there yet, wholly or not at all.
func createFile(name string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return keyIsThere(name, nil)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}
