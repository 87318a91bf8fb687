package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/goferry/goferry/oci"
)

// registryHint returns what to do about a registry that says no, or "" where that is not known. It names what the codes
// and numbers mean where people meet them: in Harbor, and in the proxies before a registry.
func registryHint(e *oci.ResponseError) string {
	manifest := strings.Contains(e.URL.Path, "/manifests/")
	switch status := e.StatusCode; {
	case status == http.StatusUnauthorized && !strings.HasPrefix(e.URL.Path, "/v2/"), status == http.StatusUnauthorized && e.URL.Path == "/v2/":
		return passwordHint(e)
	case slices.Contains(e.Codes, "PROJECTPOLICYVIOLATION"):
		return "the project hides what is not signed, the manifest of each platform too: \"goferry sign\" signs them all"
	case status == http.StatusPreconditionFailed && manifest:
		return "the tag is immutable and has another bundle: write to another tag"
	case status == http.StatusRequestEntityTooLarge && manifest:
		return "registries stop at manifests of 4 MiB: pack fewer modules into one bundle, or raise the limit of the proxy before it"
	case status == http.StatusRequestEntityTooLarge:
		return "a proxy before the registry stops at bodies of this size: in nginx that is client_max_body_size"
	case oci.NoSpace(e):
		return fmt.Sprintf("make room at %s: raise the quota of the project, or delete there what nobody needs and collect the garbage", e.URL.Host)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return accessHint(e)
	case status == http.StatusNotFound && e.Method == http.MethodPost:
		return fmt.Sprintf("the repository or its project does not exist at %s: some registries want it to be made first", e.URL.Host)
	case status == http.StatusMethodNotAllowed && e.Method != http.MethodGet && e.Method != http.MethodHead:
		return "what answers there is read-only, as \"goferry serve\" is: copy to a place that it serves, and it has the bundle without a restart"
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return "the registry is busy: run the same command again later, it goes on with what has arrived"
	}
	return ""
}

// passwordHint is for a token server, or a registry, that does not know who asks.
func passwordHint(e *oci.ResponseError) string {
	switch {
	case e.Username == "":
		return ""
	case strings.HasPrefix(e.Username, "robot") && !strings.Contains(e.Username, "$"):
		return fmt.Sprintf("%q is not known with this password: the names of Harbor's robots have a $, which a shell keeps in single quotes only", e.Username)
	}
	return fmt.Sprintf("%q is not known with this password", e.Username)
}

// accessHint is for one that knows who asks. What may not be seen and what is not there look the same.
func accessHint(e *oci.ResponseError) string {
	if e.Username == "" {
		return ""
	}
	lacks := "has no access to it"
	if e.Method != http.MethodGet && e.Method != http.MethodHead {
		lacks = "may not push to it"
	}
	project, _, _ := strings.Cut(strings.TrimPrefix(e.URL.Path, "/v2/"), "/")
	return fmt.Sprintf("the project %q does not exist at %s, or %q %s", project, e.URL.Host, e.Username, lacks)
}
