package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/bundle/gomod"
	"github.com/goferry/goferry/oci"
)

// A job is what every command on bundles has in common: where they are, how to reach them,
// and what is shown meanwhile.
type job struct {
	places   []place
	registry oci.Options
	show     display
}

// begin makes a job of the flags and the references. It finds all mistakes that can be found
// before anything is opened. The caller closes the job's display.
func begin(c *cli.Context, refs ...string) (*job, error) {
	return beginFormat(c, []string{"text", "json"}, refs...)
}

// beginFormat is begin for a command that prints in other formats.
func beginFormat(c *cli.Context, formats []string, refs ...string) (*job, error) {
	if err := checkFormat(c, formats...); err != nil {
		return nil, err
	}
	places, err := parsePlaces(refs...)
	if err != nil {
		return nil, err
	}
	if err := checkPassword(c, places); err != nil {
		return nil, err
	}
	registry, err := registryOptions(c)
	if err != nil {
		return nil, err
	}
	show, err := newDisplay(c)
	if err != nil {
		return nil, err
	}
	return &job{places, registry, show}, nil
}

// checkPassword sees to it that a password which is given for one registry does not also go
// to another.
func checkPassword(c *cli.Context, places []place) error {
	var host string
	for _, p := range places {
		if c.String("username") != "" && host != "" && p.Host != "" && p.Host != host {
			return withHint(usagef("%s: --username with two registries: the password would go to both", c.Command.Name),
				"use \"goferry login %s\" and \"goferry login %s\"", host, p.Host)
		}
		host = cmp.Or(host, p.Host)
	}
	return nil
}

// open opens the store of the job's first place, and returns it with what the bundle is
// called there. The caller closes it.
func (j *job) open(ctx context.Context) (oci.Store, string, error) {
	return j.openPlace(ctx, j.places[0])
}

// openPlace is open for any of the job's places.
func (j *job) openPlace(ctx context.Context, p place) (oci.Store, string, error) {
	store, err := j.openStore(ctx, p)
	if err != nil {
		return nil, "", err
	}
	trailOf(ctx).read(p.text, p.Digest)
	target, err := readTarget(ctx, store, p.Reference)
	if err != nil {
		store.Close()
		return nil, "", j.explain(err)
	}
	return store, target, nil
}

// openStore opens the store of one of the job's places. The caller closes it.
func (j *job) openStore(ctx context.Context, p place) (oci.Store, error) {
	store, err := oci.Open(ctx, p.Reference, j.registry)
	if errors.Is(err, oci.ErrNotFound) {
		return nil, withHint(err, "see whether the path is right; \"goferry pack -o %s\" makes a bundle there", p.text)
	}
	return store, j.explain(err)
}

// create opens or makes the store of the job's last place, and returns it with the tag to
// write. The caller closes it.
func (j *job) create(ctx context.Context) (oci.Store, string, error) {
	p := j.places[len(j.places)-1]
	store, err := oci.Create(ctx, p.Reference, j.registry)
	if err != nil {
		return nil, "", j.explain(err)
	}
	trailOf(ctx).wrote(p.text, "")
	return store, cmp.Or(p.Tag, defaultTag), nil
}

// verify opens the bundle, which has to be signed as believe says, and settles what it is. The caller closes the store.
func (j *job) verify(ctx context.Context, believe believer, only []gomod.Platform) (*bundle.Verified, oci.Store, error) {
	return j.verifyPlace(ctx, j.places[0], believe, only)
}

// verifyAll is verify for all of the job's places. The caller calls the function that closes the stores.
func (j *job) verifyAll(ctx context.Context, believe believer) (bundles []bundle.SiteBundle, closeAll func(), err error) {
	var stores []oci.Store
	closeAll = func() {
		for _, s := range stores {
			s.Close()
		}
	}
	for _, p := range j.places {
		verified, store, err := j.verifyPlace(ctx, p, believe, nil)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		stores = append(stores, store)
		bundles = append(bundles, bundle.SiteBundle{Name: p.text, Verified: verified})
	}
	return bundles, closeAll, nil
}

func (j *job) verifyPlace(ctx context.Context, p place, believe believer, only []gomod.Platform) (*bundle.Verified, oci.Store, error) {
	store, target, err := j.openPlace(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	verified, err := bundle.Verify(ctx, store, target, bundle.VerifyOptions{Platforms: only, Trust: believe(p), Progress: j.show.event, CacheDir: cacheDir()})
	if err != nil {
		store.Close()
		return nil, nil, j.explain(err)
	}
	trailOf(ctx).read(p.text, verified.Index.Digest)
	return verified, store, nil
}

// accept remembers, where that is asked for, that the bundles, one of each of the job's places, were accepted.
func (j *job) accept(believe believer, bundles []bundle.SiteBundle) error {
	for i, b := range bundles {
		if err := believe(j.places[i]).Accept(b.Index.Digest, b.Signatures); err != nil {
			return err
		}
	}
	return nil
}

// tellSigners says, unless that is too much, who signed what was verified.
func (j *job) tellSigners(c *cli.Context, name string, signatures []bundle.Signature) {
	if len(signatures) > 0 && !c.Bool("quiet") {
		tell(j.show, "", fmt.Sprintf("%s is signed by %s", name, bundle.Signers(signatures)))
	}
}

// explain is [explain] for the job's places.
func (j *job) explain(err error) error { return explain(err, j.places) }
