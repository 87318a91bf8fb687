package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// worthwhile is what a request for the rest of a blob has to bring, so that the one after it begins anew to count.
	worthwhile = 128 << 10

	// maxPoor is how many requests in a row may bring less. With the pauses between them a line may be gone for 8 s.
	maxPoor = 6
)

// download is the body of a blob. Where it breaks off it asks for the rest, so its reader sees one stream. Who verifies
// the stream verifies what was put together.
type download struct {
	repo *repository
	desc ocispec.Descriptor

	cancelled func() error
	from      func(offset int64, wait time.Duration) (io.ReadCloser, error) // nil for a document, which is asked for as a whole

	body   io.ReadCloser // nil when the next read has to ask for it
	offset int64         // of the next byte
	began  int64         // where body began
	poor   int           // requests in a row that brought little
}

// newDownload makes a download of a body. Without one, the first read asks for it.
func (r *repository) newDownload(ctx context.Context, desc ocispec.Descriptor, body io.ReadCloser) io.ReadCloser {
	d := &download{repo: r, desc: desc, cancelled: ctx.Err, body: body}
	if !isManifest(desc.MediaType) {
		d.from = func(offset int64, wait time.Duration) (io.ReadCloser, error) {
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
			return r.fetchFrom(ctx, desc, offset)
		}
	}
	return d
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (d *download) Read(p []byte) (int, error) {
	if d.body == nil {
		if err := d.open(0); err != nil {
			return 0, err
		}
	}
	n, err := d.body.Read(p)
	d.offset += int64(n)
	switch {
	case err == nil:
		return n, nil
	case d.offset >= d.desc.Size:
		return n, io.EOF // nothing is missing but the end of the answer
	case err == io.EOF && (d.from == nil || d.offset == d.began):
		return n, io.EOF // the registry has no more
	}
	return n, d.resume(err)
}

// resume asks for the rest after the error err of body, as long as that is worth it. That is io.EOF where something on
// the way ends an answer early as if it were whole, or where the registry has no more. A stalled request has taken a
// minute: it is repeated only if it has brought something before.
func (d *download) resume(err error) error {
	d.Close()
	for {
		if cancelled := d.cancelled(); cancelled != nil {
			return cancelled
		}
		if d.poor++; d.offset-d.began >= worthwhile {
			d.poor = 0
		}
		stalled := errors.Is(err, os.ErrDeadlineExceeded) && d.poor > 0
		if d.from == nil || d.poor >= maxPoor || stalled {
			return d.broken(err)
		}
		wait := time.Duration(0)
		if d.poor > 0 {
			wait = d.repo.client.wait << (d.poor - 1)
		}
		openErr := d.open(wait)
		if openErr == nil {
			return nil
		}
		noLine := net.Error(nil)
		switch answered := !errors.As(openErr, &noLine); {
		case answered && err == io.EOF:
			return err
		case answered: // and the client has asked often enough
			return d.broken(fmt.Errorf("%w; the rest: %v", err, openErr))
		}
		err = openErr
	}
}

func (d *download) open(wait time.Duration) (err error) {
	d.began = d.offset
	d.body, err = d.from(d.offset, wait)
	return err
}

func (d *download) broken(err error) error {
	return mark(ErrNetwork, fmt.Errorf("%s: blob %s breaks off: %w", d.repo, d.desc.Digest, err))
}

// skipTo makes the next read begin at offset.
func (d *download) skipTo(offset int64) error {
	if d.from == nil {
		return errors.ErrUnsupported
	}
	d.Close()
	d.offset = offset
	return nil
}

func (d *download) Close() error {
	if d.body == nil {
		return nil
	}
	err := d.body.Close()
	d.body = nil
	return err
}

// fetchFrom asks for a blob from offset on. A registry that knows no ranges sends all of it, and what is known is
// read over.
func (r *repository) fetchFrom(ctx context.Context, desc ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	req, err := r.newRequest(ctx, http.MethodGet, r.url("blobs/"+string(desc.Digest)), nil)
	if err != nil {
		return nil, err
	}
	part := fmt.Sprintf("%d-%d", offset, desc.Size-1) // with its end: not every registry knows "from here on"
	req.Header.Set("Range", "bytes="+part)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, r.explain(err)
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if got := resp.Header.Get("Content-Range"); got != fmt.Sprintf("bytes %s/%d", part, desc.Size) && got != "bytes "+part+"/*" {
			resp.Body.Close()
			return nil, malformed("%s: blob %s: asked for bytes %s and got %q", r, desc.Digest, part, got)
		}
		return resp.Body, nil
	case http.StatusOK:
		if _, err := io.CopyN(io.Discard, resp.Body, offset); err != nil {
			resp.Body.Close()
			return nil, mark(ErrNetwork, err)
		}
		return resp.Body, nil
	}
	return nil, r.refusal(resp)
}
