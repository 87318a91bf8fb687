package main

import (
	"errors"

	"github.com/opencontainers/go-digest"
	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// copyTrust is demand where --verify asks for it, and refuses the rest of its flags where not.
func copyTrust(c *cli.Context, j *job) (believer, error) {
	if c.Bool("verify") {
		return demand(c, j.show, j.places[:1])
	}
	for _, f := range demandFlags() {
		if name := f.Names()[0]; c.IsSet(name) {
			return nil, withHint(usagef("%s: --%s is of no use without --verify", c.Command.Name, name), "add --verify")
		}
	}
	return believeAnything, nil
}

// proven is what is known of what was verified to its end.
type proven struct {
	digest     digest.Digest
	signatures []bundle.Signature
}

// prove verifies what is about to be copied, as verify does. One possibility would be to do that with the bytes on their
// way, but a registry that has got them cannot be made to forget them.
func (j *job) prove(c *cli.Context, src oci.Store, target string, believe believer) (proven, error) {
	believed := believe(j.places[0])
	var found proven
	verified, err := bundle.Verify(c.Context, src, target, bundle.VerifyOptions{Trust: believed, Progress: j.show.event, CacheDir: cacheDir()})
	switch {
	case err == nil:
		var report *bundle.Report
		report, err = verified.Check(c.Context)
		if report != nil && report.Delta != nil {
			err = j.nameDelta(report, err)
		}
		found = proven{verified.Index.Digest, verified.Signatures}
	case errors.Is(err, bundle.ErrNotBundle) && believed != nil:
		var r *bundle.ArtifactReport
		if r, err = bundle.VerifyArtifact(c.Context, src, target, believed, j.show.event); err == nil {
			found = proven{r.Digest, r.Signatures}
		}
	}
	if err == nil {
		trailOf(c.Context).read(j.places[0].text, found.digest)
		j.tellSigners(c, j.places[0].text, found.signatures)
	}
	return found, err
}

// overDestination is src, and if it says that it is a delta, with what it lacks out of the place that it is copied to:
// what is verified is what will be there. The caller calls the function that closes that place.
func (j *job) overDestination(c *cli.Context, src oci.Store, target string) (oci.Store, func(), error) {
	nothing := func() {}
	delta, err := oci.FindDelta(c.Context, src, target)
	if err != nil || delta == nil || c.IsSet("volume-size") {
		return src, nothing, err
	}
	dst, err := j.openWritten(c.Context)
	if err != nil || dst == nil {
		return src, nothing, err
	}
	return oci.Over(src, dst), func() { dst.Close() }, nil
}
