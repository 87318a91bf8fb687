package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
	"github.com/goferry/goferry/signing"
)

// packSignFlags say how pack signs.
func packSignFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "sign-key", Usage: "sign the bundle with the private key `KEY`, as \"goferry sign\" does"},
		claimFlag(), signatureFormatFlag(),
		&cli.BoolFlag{Name: "attest", Value: true, Usage: "with --sign-key, attach a signed provenance and bill of materials; --attest=false leaves them out"},
	}
}

// A packSigner signs a bundle that was packed.
type packSigner struct {
	signer *signing.Signer // nil: nothing is signed
	opts   bundle.SignOptions
	attest bool
}

// newPackSigner makes a value of packSignFlags. It asks for the password before the work.
func newPackSigner(c *cli.Context, p place) (*packSigner, error) {
	opts, err := signOptions(c)
	if err != nil {
		return nil, err
	}
	// A sigstore bundle would hide the signature from cosign, if that is in none.
	s := &packSigner{opts: opts, attest: c.Bool("attest") && opts.Format != bundle.FormatSig}
	key := c.String("sign-key")
	switch {
	case key == "" && (len(opts.Claims) > 0 || opts.Format != "" || c.IsSet("attest")):
		return nil, usagef("pack: --claim, --signature-format and --attest are of no use without --sign-key")
	case key == "":
		return s, nil
	case c.IsSet("attest") && c.Bool("attest") && !s.attest:
		return nil, usagef("pack: --attest does not go with --signature-format sig, which it would hide from cosign")
	}
	s.opts.Repository = repository(p)
	s.signer, err = loadSigner(c, key)
	return s, err
}

// sign signs, and then attests: until there is a signature in one, no sigstore bundle may be there.
func (s *packSigner) sign(ctx context.Context, store oci.Store, tag string, packed bundle.Packed) error {
	if s.signer == nil {
		return nil
	}
	if _, err := bundle.Sign(ctx, store, tag, s.signer, s.opts); err != nil || !s.attest {
		return err
	}
	err := packed.Attest(ctx, store, s.signer, buildVersion().Version, s.opts.Time)
	if errors.Is(err, bundle.ErrHidden) && s.opts.Warn != nil {
		s.opts.Warn("no provenance and no bill of materials is attached: " + err.Error())
	}
	if errors.Is(err, bundle.ErrHidden) {
		return nil
	}
	return err
}
