package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/goferry/goferry/oci"
)

func TestRegistryHint(t *testing.T) {
	const robot = "robot$go+ci"
	for _, tt := range []struct {
		method, path string
		status       int
		code, user   string
		want         string // a part of it; "" is no hint
	}{
		{"GET", "/service/token", 401, "UNAUTHORIZED", robot, "not known with this password"},
		{"GET", "/v2/", 401, "UNAUTHORIZED", "robot+ci", "single quotes"},
		{"GET", "/service/token", 401, "UNAUTHORIZED", "", ""},
		{"POST", "/v2/go/app/blobs/uploads/", 401, "UNAUTHORIZED", robot, `the project "go" does not exist at harbor.corp, or "robot$go+ci" may not push to it`},
		{"HEAD", "/v2/go/app/manifests/v1", 401, "", robot, "has no access to it"},
		{"HEAD", "/v2/go/app/manifests/v1", 403, "DENIED", "", ""},
		{"GET", "/v2/go/app/manifests/v1", 412, "PROJECTPOLICYVIOLATION", robot, "not signed"},
		{"PUT", "/v2/go/app/manifests/v1", 412, "PRECONDITION", robot, "immutable"},
		{"PUT", "/v2/go/app/manifests/v1", 413, "", robot, "4 MiB"},
		{"PUT", "/v2/go/app/blobs/uploads/1", 413, "", robot, "client_max_body_size"},
		{"POST", "/v2/app/blobs/uploads/", 404, "NAME_UNKNOWN", robot, "does not exist"},
		{"GET", "/v2/app/blobs/x", 404, "BLOB_UNKNOWN", robot, ""},
		{"PUT", "/v2/app/manifests/v1", 405, "", "", "read-only"},
		{"GET", "/v2/app/manifests/v1", 405, "", "", ""},
		{"PUT", "/v2/go/app/manifests/v1", 429, "TOOMANYREQUESTS", robot, "busy"},
		{"PUT", "/v2/go/app/manifests/v1", 500, "UNKNOWN", robot, ""},
	} {
		e := &oci.ResponseError{Method: tt.method, URL: &url.URL{Host: "harbor.corp", Path: tt.path}, StatusCode: tt.status, Codes: []string{tt.code}, Username: tt.user}
		got := registryHint(e)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("registryHint(%s %s %d as %q) = %q, want %q in it", tt.method, tt.path, tt.status, tt.user, got, tt.want)
		}
	}
}
