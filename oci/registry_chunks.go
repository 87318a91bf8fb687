package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// chunkSize is what is lost at most where a line is cut and the registry keeps what it has. Clouds want 5 MiB at
	// least.
	chunkSize = 16 << 20

	// maxRestarts is how often a registry may forget the chunks of an upload.
	maxRestarts = 2
)

// chunks is a blob that is sent in chunks, and after a cut goes on with the byte that the registry asks for. It is for
// lines that have broken off before: a blob in one request is quicker, and every registry takes it. Those of the
// distribution project (Harbor's too) forget an upload that is cut inside of a chunk, unless a proxy before them holds
// requests back until they are whole.
//
// That the blob is what its digest says is left to the registry: it was hashed only up to where it broke off.
type chunks struct {
	repo *repository
	desc ocispec.Descriptor
	src  io.ReaderAt

	at             *url.URL
	offset         int64
	poor, restarts int // failures in a row, uploads begun
}

func (r *repository) pushChunks(ctx context.Context, desc ocispec.Descriptor, src io.ReaderAt) error {
	c := &chunks{repo: r, desc: desc, src: src}
	err := c.begin(ctx)
	for err == nil && c.offset < desc.Size {
		if cause := c.send(ctx); cause != nil {
			err = c.goOn(ctx, cause)
		}
	}
	if err != nil {
		return err
	}
	return r.finishUpload(ctx, c.at, desc, nil)
}

func (c *chunks) begin(ctx context.Context) (err error) {
	c.offset = 0
	c.at, err = c.repo.beginUpload(ctx, nil, nil)
	if err == nil && c.at == nil {
		err = malformed("%s: blob %s: there before it was sent", c.repo, c.desc.Digest)
	}
	return err
}

func (c *chunks) send(ctx context.Context) error {
	end := min(c.offset+chunkSize, c.desc.Size)
	req, err := c.repo.newRequest(ctx, http.MethodPatch, c.at.String(), nil)
	if err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(c.src, c.offset, end-c.offset)), nil
	}
	req.Body, _ = req.GetBody()
	req.ContentLength = end - c.offset
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", c.offset, end-1))
	resp, err := c.repo.client.Do(req)
	if err != nil {
		return c.repo.explain(err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return c.repo.refusal(resp)
	}
	if c.at, err = c.repo.location(resp); err == nil {
		c.offset, c.poor = end, 0
	}
	return err
}

// goOn finds out where to go on after cause, from the start if the registry has forgotten the upload.
func (c *chunks) goOn(ctx context.Context, cause error) error {
	if c.poor++; c.poor == maxPoor || !lost(cause) && !errors.Is(cause, errRefused) {
		return cause
	}
	if err := sleep(ctx, c.repo.client.wait<<(c.poor-1)); err != nil {
		return err
	}
	req, err := c.repo.newRequest(ctx, http.MethodGet, c.at.String(), nil)
	if err != nil {
		return err
	}
	resp, err := c.repo.client.Do(req)
	if err == nil {
		at, err := c.repo.location(resp)
		if next, ok := uploaded(resp); ok && err == nil && next <= c.desc.Size {
			c.at, c.offset = at, next
			return nil
		}
	}
	if c.restarts++; c.restarts > maxRestarts {
		return cause
	}
	return c.begin(ctx)
}

// uploaded is how much of an upload has arrived. "0-0" says nothing rather than one byte.
func uploaded(resp *http.Response) (int64, bool) {
	last, ok := strings.CutPrefix(strings.TrimPrefix(resp.Header.Get("Range"), "bytes="), "0-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil || n < 0 || resp.StatusCode != http.StatusNoContent {
		return 0, false
	}
	if n == 0 {
		return 0, true
	}
	return n + 1, true
}
