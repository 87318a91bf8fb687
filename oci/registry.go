package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	maxPages     = 50     // of a list; a page may be as large as a document
	maxTags      = 50_000 // of a repository
	maxReferrers = 1_000  // of a manifest
)

// repository is a repository of a registry.
type repository struct {
	repo    *remote.Repository
	client  *client
	actions []string // what tokens are asked for

	takesNoPost   atomic.Bool // the POST that begins an upload does not take a blob
	takesNoChunks atomic.Bool // an upload is one PUT
	breaksOff     atomic.Bool // an upload was cut
	uploadDir     string      // see Options

	mu         sync.Mutex
	pushed     map[digest.Digest][]byte // manifests, for Tag
	pushedSize int
}

func openRepository(ref Reference, opts Options, actions ...string) (*repository, error) {
	c, err := newClient(ref.Host, opts)
	if err != nil {
		return nil, err
	}
	repo := &remote.Repository{
		Client:    c,
		PlainHTTP: opts.PlainHTTP,
		Reference: registry.Reference{Registry: ref.Host, Repository: ref.Repository},

		// Deleting the replaced fallback index needs a permission that few have.
		SkipReferrersGC:      true,
		TagListMaxPages:      maxPages,
		ReferrerListMaxPages: maxPages,
	}
	return &repository{repo: repo, client: c, actions: actions, uploadDir: opts.UploadDir, pushed: map[digest.Digest][]byte{}}, nil
}

func (r *repository) String() string {
	return r.repo.Reference.Registry + "/" + r.repo.Reference.Repository
}

// scope asks for one token for all that will be done, instead of one for each kind of request. Harbor lets the
// unsigned be read with a token that may push, which is what makes a push under its signature policy possible.
func (r *repository) scope(ctx context.Context) context.Context {
	return auth.AppendRepositoryScope(ctx, r.repo.Reference, r.actions...)
}

// Fetch returns the body of the response. If it breaks off for good, that is [ErrNetwork].
func (r *repository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if !validDigest(desc.Digest) {
		return nil, malformed("malformed digest %q", desc.Digest)
	}
	rc, err := r.repo.Fetch(r.scope(ctx), desc)
	if err != nil {
		return nil, r.explain(err)
	}
	return r.newDownload(ctx, desc, rc), nil
}

// Exists asks with HEAD. A manifest that a policy of the registry hides is as good as not there: it is pushed again.
func (r *repository) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	ctx = r.scope(ctx)
	var store content.Resolver = r.repo.Blobs()
	if isManifest(desc.MediaType) {
		store = r.repo.Manifests()
	}
	got, err := store.Resolve(ctx, string(desc.Digest))
	var response *errcode.ErrorResponse
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case errors.As(err, &response) && response.StatusCode == http.StatusPreconditionFailed:
		return false, nil
	case err != nil:
		return false, r.explain(err)
	}
	return got.Size == desc.Size, nil
}

func (r *repository) Push(ctx context.Context, desc ocispec.Descriptor, src io.Reader) error {
	if !validDigest(desc.Digest) {
		return malformed("malformed digest %q", desc.Digest)
	}
	ctx = r.scope(ctx)
	if !isManifest(desc.MediaType) {
		return r.pushBlob(ctx, desc, src)
	}
	data, err := readAll(ctx, src, desc)
	if err != nil {
		return err
	}
	if ref, ok := referrerOf(desc, data); ok {
		// Asks whether there is a referrers API: without, the push has to keep the fallback tag.
		if _, err := r.Predecessors(ctx, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: ref.subject}); err != nil {
			return err
		}
	}
	if err := r.repo.Push(ctx, desc, bytes.NewReader(data)); err != nil {
		return r.explain(err)
	}
	r.remember(desc.Digest, data)
	return nil
}

// remember keeps a pushed manifest for Tag, which comes soon.
func (r *repository) remember(d digest.Digest, data []byte) {
	const most = 4 * maxDocument
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pushedSize += len(data); r.pushedSize > most {
		clear(r.pushed)
		r.pushedSize = len(data)
	}
	r.pushed[d] = data
}

// Resolve takes a tag or a digest: a registry has no one manifest that "" could mean.
func (r *repository) Resolve(ctx context.Context, target string) (ocispec.Descriptor, error) {
	desc, err := r.lookup(ctx, target)
	if errors.Is(err, ErrNotFound) && tagPattern.MatchString(target) {
		err = newTagError(r.String(), target, r.someTags(ctx))
	}
	return desc, err
}

// lookup is Resolve without the list of tags in the error.
func (r *repository) lookup(ctx context.Context, target string) (ocispec.Descriptor, error) {
	if target == "" {
		return ocispec.Descriptor{}, mark(ErrUsage, fmt.Errorf("%s: name a tag or a digest", r))
	}
	if !tagPattern.MatchString(target) && !validDigest(digest.Digest(target)) {
		return ocispec.Descriptor{}, mark(ErrUsage, fmt.Errorf("%s: malformed tag or digest %q", r, target))
	}
	desc, err := r.repo.Resolve(r.scope(ctx), target)
	if err != nil {
		return desc, r.explain(err)
	}
	if !validDigest(desc.Digest) {
		return desc, malformed("%s: tag %q has the malformed digest %q", r, target, desc.Digest)
	}
	return desc, nil
}

func (r *repository) someTags(ctx context.Context) []string {
	var some []string
	r.listTags(ctx, func(tags []string) error { // without an answer there are none to name
		some = slices.DeleteFunc(tags, func(tag string) bool { return !tagPattern.MatchString(tag) })
		return errStop
	})
	return some
}

// Tag puts the manifest again, under the tag. What was pushed before is not read back: a registry may refuse
// that until it is signed. A tag that is right is left alone: it may be immutable, even for its own digest.
func (r *repository) Tag(ctx context.Context, desc ocispec.Descriptor, target string) error {
	if target == string(desc.Digest) {
		return nil
	}
	if !tagPattern.MatchString(target) {
		return mark(ErrUsage, fmt.Errorf("malformed tag %q", target))
	}
	if at, err := r.lookup(ctx, target); err == nil && at.Digest == desc.Digest {
		return nil
	}
	r.mu.Lock()
	data, ok := r.pushed[desc.Digest]
	r.mu.Unlock()
	if !ok {
		var err error
		if data, err = fetchBytes(ctx, r, desc); err != nil {
			return err
		}
	}
	return r.explain(r.repo.PushReference(r.scope(ctx), desc, bytes.NewReader(data), target))
}

// pushTagged pushes a manifest straight under a tag, which is one request instead of four. A tag that cannot be changed
// may be right already.
func (r *repository) pushTagged(ctx context.Context, n Node, tag string) error {
	err := r.explain(r.repo.PushReference(r.scope(ctx), n.Descriptor, bytes.NewReader(n.Data), tag))
	if errors.Is(err, errRefused) {
		if at, lookupErr := r.lookup(ctx, tag); lookupErr == nil && at.Digest == n.Descriptor.Digest {
			return nil
		}
	}
	return err
}

// Predecessors asks the referrers API, and where there is none the fallback tag.
func (r *repository) Predecessors(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	ctx = r.scope(ctx)
	found, err := r.listReferrers(ctx, desc)
	var response *errcode.ErrorResponse
	if errors.As(err, &response) {
		switch response.StatusCode {
		case http.StatusNotFound:
			return nil, nil // no repository yet
		case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
			// An older registry's way to say that it has no such API.
			r.repo.SetReferrersCapability(false)
			found, err = r.listReferrers(ctx, desc)
		}
	}
	if err != nil {
		return nil, r.explain(err)
	}
	return sortDescriptors(found), nil
}

func (r *repository) listReferrers(ctx context.Context, desc ocispec.Descriptor) (found []ocispec.Descriptor, err error) {
	err = r.repo.Referrers(ctx, desc, "", func(page []ocispec.Descriptor) error {
		if found = append(found, page...); len(found) > maxReferrers {
			return malformed("%s: more than %d manifests refer to %s", r, maxReferrers, desc.Digest)
		}
		return nil
	})
	return found, err
}

var errStop = errors.New("stop")

// listTags calls page with each page of tags, as long as it returns nil. What the tags are is not checked.
func (r *repository) listTags(ctx context.Context, page func([]string) error) error {
	err := r.repo.Tags(r.scope(ctx), "", page)
	if err == errStop {
		return nil
	}
	return r.explain(err)
}

func (r *repository) Tags(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		n := 0
		err := r.listTags(ctx, func(tags []string) error {
			for _, tag := range tags {
				if !tagPattern.MatchString(tag) {
					return malformed("%s: malformed tag %q", r, tag)
				}
				if n++; n > maxTags {
					return malformed("%s: more than %d tags", r, maxTags)
				}
				if !yield(tag, nil) {
					return errStop
				}
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}

// empty reports whether the repository has no tag, so that it is likely to have nothing at all. Only one page is read.
func (r *repository) empty(ctx context.Context) bool {
	empty := true
	err := r.listTags(ctx, func(tags []string) error {
		empty = len(tags) == 0
		return errStop
	})
	return empty && (err == nil || errors.Is(err, ErrNotFound))
}

func (r *repository) Close() error {
	r.client.close()
	return nil
}
