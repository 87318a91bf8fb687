package oci

import (
	"cmp"
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
	// chunkSize is that of the first chunk. The next are larger, because a registry takes its time between two, until a
	// line is cut. Where the registry forgets what it has then, they become smaller, to what clouds want at least.
	chunkSize, mostChunk, leastChunk = 16 << 20, 128 << 20, 5 << 20

	// maxRestarts is how often a registry may forget the chunks of an upload.
	maxRestarts = 2
)

// errNoChunks is a registry that did not take one chunk.
var errNoChunks = errors.New("takes no chunks")

// chunks is a blob that is sent in chunks, and after a cut, or the end of the process, goes on with the byte that the
// registry asks for. Older registries of the distribution project (Harbor's too) forget an upload that is cut inside of a
// chunk, unless a proxy before them holds requests back until they are whole: they go on where a process ends between two.
type chunks struct {
	repo   *repository
	desc   ocispec.Descriptor
	src    *chunkSource
	record *uploadRecord

	at             *url.URL
	offset, size   int64 // of the next chunk
	taken          bool  // one chunk at least was
	cut            bool  // one broke off
	poor, restarts int   // failures in a row that brought little, uploads begun anew
}

func (r *repository) pushChunks(ctx context.Context, desc ocispec.Descriptor, src io.ReaderAt) error {
	c := &chunks{repo: r, desc: desc, src: newChunkSource(src, desc), record: r.openRecord(desc), size: chunkSize}
	defer c.record.close()
	resumed := c.resume(ctx)
	err := c.push(ctx, resumed)
	if cut := errors.Is(err, ErrNetwork) && !errors.Is(err, errLost); cut || ctx.Err() != nil {
		return cmp.Or(c.src.failure(), err)
	}
	c.record.forget()
	if resumed && err != nil && c.src.failure() == nil {
		err = c.push(ctx, false) // what the registry had was not what it seemed
	}
	return cmp.Or(c.src.failure(), err)
}

// push sends what the registry lacks.
func (c *chunks) push(ctx context.Context, begun bool) (err error) {
	if !begun {
		err = c.begin(ctx)
	}
	for err == nil && c.offset < c.desc.Size {
		if cause := c.send(ctx); cause != nil {
			err = c.goOn(ctx, cause)
		}
	}
	if err == nil {
		err = c.src.verify(ctx)
	}
	if err != nil {
		return err
	}
	return c.repo.finishUpload(ctx, c.at, c.desc, nil)
}

func (c *chunks) begin(ctx context.Context) (err error) {
	c.offset = 0
	c.at, err = c.repo.beginUpload(ctx, nil, nil)
	if err == nil && c.at == nil {
		err = malformed("%s: blob %s: there before it was sent", c.repo, c.desc.Digest)
	}
	return err
}

// resume goes on with the upload that an earlier process has left, and reports whether there is one.
func (c *chunks) resume(ctx context.Context) bool {
	if c.at = c.record.location(); c.at == nil {
		return false
	}
	c.taken = c.ask(ctx) && c.offset > 0 && c.src.hashTo(ctx, c.offset) == nil
	return c.taken
}

func (c *chunks) send(ctx context.Context) error {
	end := min(c.offset+c.size, c.desc.Size)
	req, err := c.repo.newRequest(ctx, http.MethodPatch, c.at.String(), nil)
	if err != nil {
		return err
	}
	req.GetBody = func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(c.src, c.offset, end-c.offset)), nil
	}
	req.Body, _ = req.GetBody()
	req.ContentLength = end - c.offset
	req.Close = c.cut // some lines are cut after so many bytes: then let none carry two chunks
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
		c.offset, c.poor, c.taken = end, 0, true
		if !c.cut {
			c.size = min(2*c.size, mostChunk)
		}
		c.record.keep(c.at)
	}
	return err
}

// goOn finds out where to go on after cause, from the start if the registry has forgotten the upload.
func (c *chunks) goOn(ctx context.Context, cause error) error {
	refused := errors.Is(cause, errRefused) || errors.Is(cause, errLost) || errors.Is(cause, ErrNotFound)
	if c.poor++; c.poor == maxPoor || !lost(cause) && !refused || c.src.failure() != nil {
		return cause
	}
	if err := sleep(ctx, c.repo.client.wait<<(c.poor-1)); err != nil {
		return err
	}
	c.cut, c.size = true, min(c.size, chunkSize)
	before := c.offset
	goesOn := c.ask(ctx)
	c.taken = c.taken || goesOn && c.offset > 0
	if goesOn && c.offset < before { // it has forgotten what it took
		if c.restarts++; c.restarts > maxRestarts {
			return cause
		}
		c.size = max(c.size/2, leastChunk)
	}
	if goesOn && (c.taken || !refused) {
		if c.offset-before >= worthwhile {
			c.poor = 0
		}
		return nil
	}
	c.restarts++
	if !c.taken && (refused || c.restarts > maxRestarts) {
		return fmt.Errorf("%w: %w", errNoChunks, cause)
	}
	if c.restarts > maxRestarts {
		return cause
	}
	c.size = max(c.size/2, leastChunk)
	return c.begin(ctx)
}

// ask asks the registry how far the upload is.
func (c *chunks) ask(ctx context.Context) bool {
	req, err := c.repo.newRequest(ctx, http.MethodGet, c.at.String(), nil)
	if err != nil {
		return false
	}
	resp, err := c.repo.client.Do(req)
	if err != nil {
		return false
	}
	at, err := c.repo.location(resp)
	next, ok := uploaded(resp)
	if !ok || err != nil || next > c.desc.Size {
		return false
	}
	c.at, c.offset = at, next
	return true
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
