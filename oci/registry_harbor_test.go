package oci

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/goferry/goferry/oci/harbortest"
)

// startHarbor starts a Harbor whose only account is in the options.
func startHarbor(t testing.TB, setup harbortest.Harbor) (*harbortest.Server, Reference, Options) {
	t.Helper()
	setup.User, setup.Password = testUser, testPassword
	harbor := harbortest.New(setup)
	srv := httptest.NewServer(harbor)
	t.Cleanup(srv.Close)
	opts := testOptions(t)
	opts.PlainHTTP, opts.Username, opts.Password = true, testUser, testPassword
	return harbor, referenceTo(srv), opts
}

// TestHarbor holds that a push under all policies goes through, and goes through once more.
func TestHarbor(t *testing.T) {
	harbor, ref, opts := startHarbor(t, harbortest.Harbor{TokenUses: 7, SignaturePolicy: true, ImmutableTags: true, Projects: []string{"team"}})
	for run := range 2 {
		if err := copyTo(t, ref, opts); err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
	}
	put := map[string]bool{}
	for _, r := range harbor.Requests() {
		method, path, _ := strings.Cut(r, " ")
		if put[path] && method == "PUT" && strings.Contains(path, "/manifests/v1") {
			t.Errorf("the immutable tag is written again")
		}
		put[path] = put[path] || method == "PUT"
	}
}

func TestHarborRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		setup harbortest.Harbor
		want  error
		text  string
	}{
		"no such project": {harbortest.Harbor{Projects: []string{"other"}}, ErrUnauthorized, "team/bundle"},
		"pull only":       {harbortest.Harbor{PullOnly: true}, ErrUnauthorized, "action: push"},
		"quota":           {harbortest.Harbor{Quota: 1000}, ErrNoSpace, "storage resource"},
	} {
		t.Run(name, func(t *testing.T) {
			_, ref, opts := startHarbor(t, tt.setup)
			if err := copyTo(t, ref, opts); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Copy = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}
