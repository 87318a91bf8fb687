package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const (
	// smallBlob is what is rather sent than asked for, and sent in one request if the registry takes that.
	smallBlob = 256 << 10

	// largeBlob is what is worth going on with in the middle, also in another process.
	largeBlob = 32 << 20
)

// pushBlob starts over, with a new upload, if the one it had is lost and src can be read again. Large blobs go in chunks,
// and less large ones too once the line has broken off.
func (r *repository) pushBlob(ctx context.Context, desc ocispec.Descriptor, src io.Reader) error {
	if desc.Size <= smallBlob {
		return r.pushSmall(ctx, desc, src)
	}
	const attempts = 2
	for attempt := 1; ; attempt++ {
		if at, ok := src.(io.ReaderAt); ok && r.inChunks(desc) {
			if err := r.pushChunks(ctx, desc, at); !errors.Is(err, errNoChunks) {
				return withBlob(desc, err)
			}
			r.takesNoChunks.Store(true)
		}
		body := newUpload(ctx, src, desc)
		err := r.pushWhole(ctx, desc, body)
		if err == nil {
			return nil
		}
		if srcErr := body.failure(); srcErr != nil {
			return srcErr
		}
		if attempt == attempts || !lost(err) || !body.rewindable() || ctx.Err() != nil || !body.started() {
			return withBlob(desc, err)
		}
		r.breaksOff.Store(r.breaksOff.Load() || errors.Is(err, ErrNetwork))
	}
}

func (r *repository) inChunks(desc ocispec.Descriptor) bool {
	return !r.takesNoChunks.Load() && (desc.Size > largeBlob || r.breaksOff.Load())
}

func withBlob(desc ocispec.Descriptor, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("blob %s: %w", desc.Digest, err)
}

// lost reports whether err may come of an upload that is no more.
func lost(err error) bool {
	return errors.Is(err, ErrNetwork) && !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnauthorized)
}

// pushSmall sends a blob from memory. The first go with the request that begins an upload; where that is all they
// begin, as with distribution, the next follow it.
func (r *repository) pushSmall(ctx context.Context, desc ocispec.Descriptor, src io.Reader) error {
	var data bytes.Buffer
	if _, err := copyBlob(ctx, &data, src, desc); err != nil {
		return err
	}
	err := r.sendSmall(ctx, desc, data.Bytes())
	if err != nil && lost(err) && ctx.Err() == nil {
		r.takesNoPost.Store(true)
		err = r.sendSmall(ctx, desc, data.Bytes())
	}
	return withBlob(desc, err)
}

func (r *repository) sendSmall(ctx context.Context, desc ocispec.Descriptor, data []byte) error {
	query, begun := url.Values{}, []byte(nil)
	if !r.takesNoPost.Load() {
		query.Set("digest", string(desc.Digest))
		begun = data
	}
	at, err := r.beginUpload(ctx, query, begun)
	if err == nil && at == nil {
		return nil
	}
	if begun != nil {
		r.takesNoPost.Store(true)
	}
	if errors.Is(err, errRefused) && begun != nil {
		at, err = r.beginUpload(ctx, nil, nil)
	}
	if err != nil {
		return err
	}
	return r.finishUpload(ctx, at, desc, bytes.NewReader(data))
}

func (r *repository) pushWhole(ctx context.Context, desc ocispec.Descriptor, body *upload) error {
	at, err := r.beginUpload(ctx, nil, nil)
	if err != nil {
		return err
	}
	return r.finishUpload(ctx, at, desc, body)
}

// beginUpload returns where an upload goes on, or nil if the request was enough.
func (r *repository) beginUpload(ctx context.Context, query url.Values, data []byte) (*url.URL, error) {
	resp, err := r.send(ctx, http.MethodPost, r.url("blobs/uploads/"), query, bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusCreated:
		return nil, resp.Body.Close()
	case http.StatusAccepted:
		return r.location(resp)
	}
	return nil, r.refusal(resp)
}

// sibling is s if it is another repository of the same registry, and else nil.
func (r *repository) sibling(s Store) *repository {
	other, ok := s.(*repository)
	if !ok || other.repo.Reference.Registry != r.repo.Reference.Registry || other.repo.PlainHTTP != r.repo.PlainHTTP ||
		other.repo.Reference.Repository == r.repo.Reference.Repository {
		return nil
	}
	return other
}

// mount makes a blob of another repository one of r too, in one request and without its bytes. A registry that does not
// do that, or not for this account, begins an upload, which it forgets some day.
func (r *repository) mount(ctx context.Context, desc ocispec.Descriptor, from *repository) error {
	ctx = auth.AppendRepositoryScope(ctx, from.repo.Reference, auth.ActionPull)
	query := url.Values{"mount": {string(desc.Digest)}, "from": {from.repo.Reference.Repository}}
	at, err := r.beginUpload(ctx, query, nil)
	if err == nil && at != nil {
		err = errors.ErrUnsupported
	}
	return err
}

// finishUpload sends body, or what is left of the blob, and names the blob.
func (r *repository) finishUpload(ctx context.Context, at *url.URL, desc ocispec.Descriptor, body io.Reader) error {
	size := desc.Size
	if body == nil {
		size = 0
	}
	resp, err := r.send(ctx, http.MethodPut, at.String(), url.Values{"digest": {string(desc.Digest)}}, body, size)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated {
		return r.refusal(resp)
	}
	return resp.Body.Close()
}

// send makes a request of an upload, whose body has size bytes.
func (r *repository) send(ctx context.Context, method, to string, query url.Values, body io.Reader, size int64) (*http.Response, error) {
	req, err := r.newRequest(ctx, method, to, body)
	if err != nil {
		return nil, err
	}
	all := req.URL.Query()
	maps.Copy(all, query)
	req.URL.RawQuery = all.Encode()
	req.ContentLength = size
	if size > 0 {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	resp, err := r.client.Do(req)
	return resp, r.explain(err)
}

// location is where the answer to an upload says that it goes on. That is at the registry itself, as the credentials go
// there too.
func (r *repository) location(resp *http.Response) (*url.URL, error) {
	resp.Body.Close()
	at, err := resp.Location()
	if err != nil {
		return nil, malformed("%s: answer to an upload without a location", r)
	}
	asked := resp.Request.URL
	if at.Host != asked.Host && originOf(at) == originOf(asked) {
		at.Host = asked.Host // with the port that goes without saying
	}
	if originOf(at) != originOf(asked) {
		return nil, mark(ErrUnauthorized, fmt.Errorf("%s: upload to %s://%s refused: it is not the registry", r, at.Scheme, at.Host))
	}
	return at, nil
}
