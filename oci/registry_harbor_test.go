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
	_, ref, opts := startHarbor(t, harbortest.Harbor{TokenUses: 20, SignaturePolicy: true, ImmutableTags: true, Projects: []string{"team"}})
	for run := range 2 {
		if err := copyTo(t, ref, opts); err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
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
		"small proxy":     {harbortest.Harbor{MaxBody: 10}, errRefused, "413 Request Entity Too Large"},
	} {
		t.Run(name, func(t *testing.T) {
			_, ref, opts := startHarbor(t, tt.setup)
			if err := copyTo(t, ref, opts); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Copy = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

// TestHarborUnderLoad holds that answers which may be others the next time are not the end.
func TestHarborUnderLoad(t *testing.T) {
	_, ref, opts := startHarbor(t, harbortest.Harbor{Hiccups: 3})
	if err := copyTo(t, ref, opts); err != nil {
		t.Error(err)
	}
}

// TestMount holds that a copy within a registry moves no blob, and that one which cannot mount gets the blobs.
func TestMount(t *testing.T) {
	src := mustCreate(t, t.TempDir())
	defer src.Close()
	root := pushModules(t, src, moduleNames(0, 20)...)
	mustTag(t, src, root, "v1")
	for name, setup := range map[string]harbortest.Harbor{"mounts": {}, "does not": {NoMount: true}} {
		t.Run(name, func(t *testing.T) {
			harbor, staging, opts := startHarbor(t, setup)
			production := staging
			production.Repository = "team/production"
			first, second := mustDo(Create(t.Context(), staging, opts)), mustDo(Create(t.Context(), production, opts))
			defer first.Close()
			defer second.Close()
			mustDo(Copy(t.Context(), src, "v1", first, "v1", CopyOptions{}))
			harbor.Forget()
			mustDo(Copy(t.Context(), first, "v1", second, "v1", CopyOptions{}))
			g := mustDo(Walk(t.Context(), second, root))
			for _, desc := range g.Blobs {
				if ok, err := second.Exists(t.Context(), desc); !ok || err != nil {
					t.Errorf("Exists(%s) = %v, %v", desc.Digest, ok, err)
				}
			}
			moved := 0
			for _, r := range harbor.Requests() {
				if strings.HasPrefix(r, "GET") && strings.Contains(r, "/blobs/") {
					moved++
				}
			}
			if want := len(g.Blobs); setup.NoMount && moved != want || !setup.NoMount && moved > 0 {
				t.Errorf("%d of %d blobs were read", moved, want)
			}
		})
	}
}
