package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/goferry/goferry/oci"
)

// checkStreams refuses what standard input and output cannot do.
func checkStreams(c *cli.Context, src, dst place) error {
	switch {
	case src.IsStream() && dst.IsStream():
		return usagef("%s: from standard input to standard output there is nothing to copy", c.Command.Name)
	case src.IsStream() && c.Bool("verify"):
		return withHint(usagef("%s: --verify reads the bundle before it is copied, and standard input can be read once", c.Command.Name),
			"copy it to a directory (goferry copy %s oci:DIR), and with --verify from there", src.text)
	case src.IsStream() && isTerminal(c.App.Reader):
		return withHint(usagef("%s: an archive is not read from a terminal", c.Command.Name), "goferry copy %s … < FILE", src.text)
	case dst.IsStream() && isTerminal(c.App.Writer):
		return withHint(usagef("%s: an archive is not written to a terminal", c.Command.Name), "goferry copy … %s | COMMAND", dst.text)
	}
	return nil
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// createFor is create for a command that can write to standard output.
func (j *job) createFor(c *cli.Context) (oci.Store, string, error) {
	if p := j.places[len(j.places)-1]; p.IsStream() {
		return oci.CreateStream(c.App.Writer), cmp.Or(p.Tag, defaultTag), nil
	}
	return j.create(c.Context)
}

// printCopied prints the result, which is no part of an archive on standard output.
func (j *job) printCopied(c *cli.Context, desc ocispec.Descriptor, count *copyCount) error {
	switch {
	case !j.places[len(j.places)-1].IsStream() && c.String("format") == "json":
		return printJSON(c, count.result(desc))
	case !j.places[len(j.places)-1].IsStream():
		_, err := fmt.Fprintln(c.App.Writer, desc.Digest)
		return err
	case !c.Bool("quiet"):
		tell(c.App.ErrWriter, "", "copied "+desc.Digest.String())
	}
	return nil
}

// copyStdin copies an archive as it comes on standard input to the job's last place.
func (j *job) copyStdin(c *cli.Context, opts oci.CopyOptions) (ocispec.Descriptor, error) {
	dst, tag, err := j.create(c.Context)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc, err := oci.CopyStream(c.Context, interruptible(c.Context, c.App.Reader), j.places[0].Target(), dst, tag, opts)
	err = errors.Join(err, dst.Close())
	switch {
	case errors.Is(err, oci.ErrDigest):
		return desc, withHint(fmt.Errorf("standard input: %w", err), "if it was cut, send it once more: what has arrived is not stored again")
	case err != nil:
		return desc, fmt.Errorf("standard input: %w", err)
	}
	return desc, nil
}

// interruptible is r until ctx ends: an interrupt does not wake who waits for a pipe.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	pr, pw := io.Pipe()
	context.AfterFunc(ctx, func() { pr.CloseWithError(ctx.Err()) })
	go func() {
		const piece = 256 << 10 // in which a pipe is read; the structs hide methods that would choose another
		_, err := io.CopyBuffer(struct{ io.Writer }{pw}, struct{ io.Reader }{r}, make([]byte, piece))
		pw.CloseWithError(err)
	}()
	return pr
}
