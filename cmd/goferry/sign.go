package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

func signCommand() *cli.Command {
	return &cli.Command{
		Name:      "sign",
		Usage:     "sign a bundle, or any other OCI artifact, with a key",
		ArgsUsage: "--key KEY REF",
		Description: "goferry sign --key release.key oci:bundle\n" +
			"goferry sign --key hashivault://release -a team=build harbor.corp/go/app:v3\n\n" +
			"The index is signed, and each manifest that it names, in both forms that cosign knows: cosign\n" +
			"verifies what goferry signs. The signature says what the bundle is called, its tag, its platforms\n" +
			"and a number that grows with time, so that an older one can be told from it. Signing again with\n" +
			"the same key adds nothing; another key adds its signature. The digest is printed.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "key", Usage: "sign with the private key `KEY`: a file, env://NAME or a KMS URI"},
			claimFlag(), signatureFormatFlag(), formatFlag(), progressFlag(), quietFlag(),
		}, registryFlags()...),
		Action: sign,
	}
}

func claimFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "claim", Aliases: []string{"a"}, Usage: "put `NAME=VALUE` into the signature; may be repeated"}
}

func signatureFormatFlag() cli.Flag {
	return &cli.StringFlag{Name: "signature-format", Usage: "keep signatures as `sig|bundle|both` (default: both, or what hides no signature from cosign)"}
}

func sign(c *cli.Context) error {
	args, err := arguments(c, "REF")
	if err != nil {
		return err
	}
	if c.String("key") == "" {
		return withHint(usagef("sign: --key is missing"), "make a key with \"goferry keygen\"")
	}
	opts, err := signOptions(c)
	if err != nil {
		return err
	}
	j, err := begin(c, args...)
	if err != nil {
		return err
	}
	defer j.show.close()
	if err := j.changeable(); err != nil {
		return err
	}
	signer, err := loadSigner(c, c.String("key"))
	if err != nil {
		return err
	}
	signed, err := j.sign(c.Context, signer, opts)
	j.show.close()
	if err != nil {
		return j.explain(err)
	}
	trailOf(c.Context).wrote(args[0], signed.Digest)
	return printSigned(c, signed)
}

// sign signs what is at the job's one place.
func (j *job) sign(ctx context.Context, signer *signing.Signer, opts bundle.SignOptions) (*bundle.Signed, error) {
	store, target, err := j.openToChange(ctx)
	if err != nil {
		return nil, err
	}
	opts.Repository, opts.Progress = repository(j.places[0]), j.show.event
	signed, err := bundle.Sign(ctx, store, target, signer, opts)
	return signed, errors.Join(err, store.Close())
}

// changeable refuses to add anything to an archive.
func (j *job) changeable() error {
	if p := j.places[0]; p.Transport == oci.TransportArchive {
		return withHint(usagef("%q: an archive is not changed", p.text), "copy it to a directory, sign it there, and copy that to an archive")
	}
	return nil
}

// openToChange is open for what is to be added to. The caller closes the store.
func (j *job) openToChange(ctx context.Context) (oci.Store, string, error) {
	there, target, err := j.open(ctx) // creating would make a layout where there is none
	if err != nil {
		return nil, "", err
	}
	there.Close()
	store, _, err := j.create(ctx)
	return store, target, err
}

// repository is what a place is called in signatures: nothing, for a directory.
func repository(p place) string {
	if p.Host == "" {
		return ""
	}
	return p.Host + "/" + p.Repository
}

func signOptions(c *cli.Context) (bundle.SignOptions, error) {
	opts := bundle.SignOptions{Format: bundle.SignatureFormat(c.String("signature-format")), Time: time.Now()}
	if !c.Bool("quiet") {
		opts.Warn = func(text string) { tell(c.App.ErrWriter, "warning", text) }
	}
	switch opts.Format {
	case "", bundle.FormatSig, bundle.FormatBundle, bundle.FormatBoth:
	default:
		return opts, usagef("unknown signature format %q: it is sig, bundle or both", string(opts.Format))
	}
	var err error
	opts.Claims, err = claims(c.StringSlice("claim"))
	return opts, err
}

func printSigned(c *cli.Context, s *bundle.Signed) error {
	if c.String("format") == "json" {
		return printJSON(c, s)
	}
	if !c.Bool("quiet") {
		tell(c.App.ErrWriter, "", signedText(s))
	}
	_, err := fmt.Fprintln(c.App.Writer, s.Digest)
	return err
}

func signedText(s *bundle.Signed) string {
	if s.Added == 0 {
		return "signed already by this key, which says the same: nothing was added"
	}
	of := ""
	if s.Manifests > 0 {
		of = " of the index and " + count(s.Manifests, "manifest")
	}
	return fmt.Sprintf("made %s%s, by the key with the SHA-256 %s", count(s.Added, "signature"), of, s.KeyID)
}
