package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// refer adds to a layout a manifest that refers to the bundle, and another one under cosign's tag.
func refer(t testing.TB, dir, tag string) {
	t.Helper()
	store, err := oci.Open(t.Context(), oci.Reference{Transport: oci.TransportLayout, Path: dir}, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	subject, err := store.Resolve(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	push := func(mediaType string, data []byte) ocispec.Descriptor {
		desc := content.NewDescriptorFromBytes(mediaType, data)
		if err := store.Push(t.Context(), desc, bytes.NewReader(data)); err != nil && !errors.Is(err, oci.ErrNotFound) {
			t.Fatal(err)
		}
		return desc
	}
	config, layer := push(ocispec.MediaTypeEmptyJSON, []byte("{}")), push("application/x-signature", []byte("signature of "+tag))
	for _, m := range []ocispec.Manifest{
		{ArtifactType: "application/x-signature", Subject: &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}},
		{Annotations: map[string]string{"by": "cosign"}},
	} {
		m.Versioned, m.MediaType, m.Config, m.Layers = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest, config, []ocispec.Descriptor{layer}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		at := "sha256-" + subject.Digest.Encoded() + ".sig"
		desc := push(ocispec.MediaTypeImageManifest, data)
		if m.Subject != nil {
			at = string(desc.Digest)
		}
		if err := store.Tag(t.Context(), desc, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRegistry(t *testing.T) {
	_, dir := small(t)
	refer(t, dir, "v1")
	s := newServer(t, "oci:"+dir)
	index := s.places[0].entries[0].index
	url := start(t, s)
	for _, test := range []struct {
		name, method, path string
		headers            []string
		status             int
		body               string // a part of it
		contentType        string
	}{
		{"ping", "GET", "/v2/", nil, 200, "", ""},
		{"ping without a slash", "GET", "/v2", nil, 200, "", ""},
		{"catalog", "GET", "/v2/_catalog", nil, 200, `{"repositories":["app"]}`, "application/json"},
		{"tags", "GET", "/v2/app/tags/list", nil, 200, `{"name":"app","tags":["sha256-` + index.Digest.Encoded() + `.sig","v1"]}`, "application/json"},
		{"page of tags", "GET", "/v2/app/tags/list?n=1", nil, 200, `.sig"]}`, "application/json"},
		{"tags of nothing", "GET", "/v2/none/tags/list", nil, 404, "NAME_UNKNOWN", "application/json"},
		{"manifest", "GET", "/v2/app/manifests/v1", nil, 200, `"dev.goferry.format":"1"`, ocispec.MediaTypeImageIndex},
		{"manifest by digest", "GET", "/v2/app/manifests/" + index.Digest.String(), nil, 200, `"dev.goferry.format":"1"`, ocispec.MediaTypeImageIndex},
		{"head", "HEAD", "/v2/app/manifests/v1", nil, 200, "", ocispec.MediaTypeImageIndex},
		{"no such tag", "GET", "/v2/app/manifests/v2", nil, 404, "MANIFEST_UNKNOWN", "application/json"},
		{"no such blob", "GET", "/v2/app/blobs/" + digest.FromString("x").String(), nil, 404, "BLOB_UNKNOWN", "application/json"},
		{"blob of nothing", "GET", "/v2/none/blobs/" + digest.FromString("x").String(), nil, 404, "NAME_UNKNOWN", "application/json"},
		{"malformed digest", "GET", "/v2/app/blobs/sha256:..", nil, 400, "errors", "application/json"},
		{"referrers", "GET", "/v2/app/referrers/" + index.Digest.String(), nil, 200, `"artifactType":"application/x-signature"`, ocispec.MediaTypeImageIndex},
		{"other referrers", "GET", "/v2/app/referrers/" + index.Digest.String() + "?artifactType=x", nil, 200, `"manifests":[]`, ocispec.MediaTypeImageIndex},
		{"no referrers", "GET", "/v2/app/referrers/" + digest.FromString("x").String(), nil, 200, `"manifests":[]`, ocispec.MediaTypeImageIndex},
		{"referrers of nothing", "GET", "/v2/none/referrers/" + index.Digest.String(), nil, 404, "NAME_UNKNOWN", "application/json"},
		{"upload", "POST", "/v2/app/blobs/uploads/", nil, 405, "read-only", ""},
		{"bundle as a blob", "GET", "/v2/app/blobs/" + index.Digest.String(), nil, 404, "BLOB_UNKNOWN", ""},
		{"a file of the layout", "GET", "/v2/app/blobs/../../index.json", nil, 400, "malformed", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			resp, body := ask(t, url, test.method, test.path, test.headers...)
			if resp.StatusCode != test.status || !strings.Contains(body, test.body) ||
				test.contentType != "" && resp.Header.Get("Content-Type") != test.contentType {
				t.Errorf("%s %s = %d, %q, %s, want %d, %q, %s", test.method, test.path, resp.StatusCode, resp.Header.Get("Content-Type"), body, test.status, test.contentType, test.body)
			}
			if test.status == 200 && strings.Contains(test.path, "/manifests/") && resp.Header.Get("Docker-Content-Digest") != index.Digest.String() {
				t.Errorf("Docker-Content-Digest is %q", resp.Header.Get("Docker-Content-Digest"))
			}
		})
	}
}

func TestRegistryBlobs(t *testing.T) {
	s, _ := small(t)
	url := start(t, s)
	layer := s.places[0].entries[0].platforms[0].Layers[0]
	at := "/v2/app/blobs/" + layer.Digest.String()
	resp, body := ask(t, url, "GET", at)
	if digest.FromString(body) != layer.Digest || resp.ContentLength != layer.Size || resp.Header.Get("Docker-Content-Digest") != layer.Digest.String() {
		t.Errorf("GET %s = %d bytes, %v", at, len(body), resp.Header)
	}
	if resp, part := ask(t, url, "GET", at, "Range: bytes=5-9"); resp.StatusCode != http.StatusPartialContent || part != body[5:10] {
		t.Errorf("range = %d, %q", resp.StatusCode, part)
	}
	if resp, _ := ask(t, url, "HEAD", at); resp.StatusCode != 200 || resp.ContentLength != layer.Size {
		t.Errorf("HEAD = %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
}

// A bundle goes from a layout through a server, and through one that takes it from the first, and is the same, with all
// that refers to it.
func TestRegistryCopy(t *testing.T) {
	_, dir := small(t)
	refer(t, dir, "v1")
	first := newServer(t, "oci:"+dir)
	refs := oci.Options{PlainHTTP: true}
	host := strings.TrimPrefix(start(t, first), "http://")
	second, err := New(t.Context(), Options{Sources: []Source{source(t, host+"/app:v1")}, Registry: refs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	url := start(t, second)
	src, err := oci.Open(t.Context(), source(t, strings.TrimPrefix(url, "http://")+"/app").Reference, refs)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	copied := filepath.Join(t.TempDir(), "copy")
	dst, err := oci.Create(t.Context(), oci.Reference{Transport: oci.TransportLayout, Path: copied}, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	desc, err := oci.Copy(t.Context(), src, "v1", dst, "v1", oci.CopyOptions{})
	if err != nil || desc.Digest != first.places[0].entries[0].index.Digest {
		t.Fatalf("Copy = %v, %v", desc.Digest, err)
	}
	v, err := bundle.Verify(t.Context(), dst, "v1", bundle.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Check(t.Context()); err != nil {
		t.Error(err)
	}
	tags := slices.Collect(func(yield func(string) bool) {
		for tag := range dst.Tags(t.Context()) {
			if !yield(tag) {
				return
			}
		}
	})
	referrers, err := dst.Predecessors(t.Context(), desc)
	if err != nil || len(referrers) != 1 || !slices.Contains(tags, "sha256-"+desc.Digest.Encoded()+".sig") {
		t.Errorf("after the copy there are the referrers %v (%v) and the tags %v", referrers, err, tags)
	}
	// Zips come through as well.
	if resp, body := ask(t, url, "GET", "/example.com/big/@v/v0.1.0.zip", "Range: bytes=0-1"); body != "PK" {
		t.Errorf("zip = %d, %q", resp.StatusCode, body)
	}
}

func TestRepositoryName(t *testing.T) {
	for _, test := range []struct{ ref, name, want string }{
		{"oci:/media/stick/app:v3", "", "app"},
		{"oci:/media/stick/My App__2.d", "", "my-app-2"},
		{"oci-archive:/media/app.tar:v3", "", "app"},
		{"harbor.corp/go/app:v3", "", "go/app"},
		{"oci:/media/stick/app", "team/app", "team/app"},
		{"oci:/media/stick/app", "Team", ""},
		{"oci:/media/stick/app", "a//b", ""},
		{"oci:/", "", ""},
	} {
		src := source(t, test.ref)
		src.Repository = test.name
		got, err := src.repository()
		if (err == nil) != (test.want != "") || err == nil && got != test.want {
			t.Errorf("repository(%q, %q) = %q, %v, want %q", test.ref, test.name, got, err, test.want)
		}
	}
}
