package serve

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"cuelabs.dev/go/oci/ociregistry"
	"github.com/opencontainers/go-digest"

	"github.com/goferry/goferry/oci"
)

// blob answers for a blob. What is on this machine can be had in parts, and is sent by the kernel; what comes from
// another registry is sent on as a whole, and never to the end if it is not the right one.
func (g *registry) blob(w http.ResponseWriter, r *http.Request, name string, d digest.Digest) {
	repository, err := g.repository(name)
	if err != nil {
		ociregistry.WriteError(w, err)
		return
	}
	b, ok := repository.blobs[d]
	if !ok {
		ociregistry.WriteError(w, ociregistry.ErrBlobUnknown)
		return
	}
	content, err := b.store.Fetch(r.Context(), b.desc)
	if err != nil {
		plain(w, http.StatusServiceUnavailable, "not available now: blob "+d.String()+" cannot be read")
		return
	}
	defer content.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", `"`+d.String()+`"`)
	h.Set("Cache-Control", immutable)
	if seeker, ok := content.(io.ReadSeeker); ok {
		http.ServeContent(w, r, "", time.Time{}, seeker)
		return
	}
	h.Set("Content-Length", strconv.FormatInt(b.desc.Size, 10))
	if r.Method == http.MethodGet {
		io.Copy(w, oci.VerifyReader(r.Context(), content, b.desc)) // what is cut short is told by its length
	}
}
