package main

import (
	"encoding/pem"
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/goferry/goferry/oci/harbortest"
)

// memregistry starts a registry in this process, and sets $REGISTRY to its host and port.
//
//	-auth NAME:PASSWORD   ask for it
//	-tls                  with a certificate of its own authority, which is in $REGISTRY_CA
//	-fail CODE            answer every request that would write with the code
//	-stall                hold up every upload until the client goes away
//	-cut                  break off in the middle of every blob that is fetched, and never send the rest
//	-moving TAG=A,B       answer for the tag what the tag A is, once, and then what B is
//	-env NAME             set $NAME instead of $REGISTRY
//	-project NAME         be a Harbor with one project, and with the account of -auth, which asks for tokens
//	-pull-only, -immutable, -policy, -quota BYTES
//	                      what that Harbor does not let the account do
//	-max-body BYTES, -hiccups N
//	                      what the proxy before it does not let through, and that every Nth request fails once
func memregistry(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("memregistry", flag.ContinueOnError)
	auth := flags.String("auth", "", "")
	tls := flags.Bool("tls", false, "")
	fail := flags.Int("fail", 0, "")
	stall := flags.Bool("stall", false, "")
	cut := flags.Bool("cut", false, "")
	moving := flags.String("moving", "", "")
	env := flags.String("env", "REGISTRY", "")
	project := flags.String("project", "", "")
	var harbor harbortest.Harbor
	flags.BoolVar(&harbor.PullOnly, "pull-only", false, "")
	flags.BoolVar(&harbor.SignaturePolicy, "policy", false, "")
	flags.BoolVar(&harbor.ImmutableTags, "immutable", false, "")
	flags.Int64Var(&harbor.Quota, "quota", 0, "")
	flags.Int64Var(&harbor.MaxBody, "max-body", 0, "")
	flags.IntVar(&harbor.Hiccups, "hiccups", 0, "")
	ts.Check(flags.Parse(args))

	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	if *project != "" {
		harbor.User, harbor.Password, _ = strings.Cut(*auth, ":")
		harbor.Projects, *auth = []string{*project}, ""
		handler = harbortest.New(harbor)
	}
	if *cut {
		handler = cutBlobs(handler)
	}
	if *moving != "" {
		handler = moveTag(handler, *moving)
	}
	if *fail != 0 {
		handler = failWrites(handler, *fail)
	}
	if *stall {
		w := ts.Value("world").(*world)
		w.stalled = make(chan struct{})
		handler = stallUploads(handler, w.stalled)
	}
	if *auth != "" {
		handler = basicAuth(handler, *auth)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if *tls {
		server.StartTLS()
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		ts.Setenv("REGISTRY_CA", ts.MkAbs("registry-ca.pem"))
		ts.Check(os.WriteFile(ts.MkAbs("registry-ca.pem"), block, 0o644))
	} else {
		server.Start()
	}
	ts.Defer(server.Close)
	ts.Setenv(*env, server.Listener.Addr().String())
}

func isWrite(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

func basicAuth(next http.Handler, want string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name+":"+password != want {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you?"}]}`, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func failWrites(next http.Handler, code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isWrite(r) {
			io.Copy(io.Discard, r.Body)
			http.Error(w, `{"errors":[{"code":"DENIED","message":"\u001b[31mno\u001b[0m"}]}`, code)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func moveTag(next http.Handler, tags string) http.Handler {
	tag, is, _ := strings.Cut(tags, "=")
	first, then, _ := strings.Cut(is, ",")
	var asked atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if repository, ok := strings.CutSuffix(r.URL.Path, "/manifests/"+tag); ok && !asked.Swap(true) {
			r.URL.Path = repository + "/manifests/" + first
		} else if ok {
			r.URL.Path = repository + "/manifests/" + then
		}
		next.ServeHTTP(w, r)
	})
}

func stallUploads(next http.Handler, told chan struct{}) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isWrite(r) {
			once.Do(func() { close(told) })
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
}

func cutBlobs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			next.ServeHTTP(w, r)
			return
		}
		if r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		whole := httptest.NewRecorder()
		next.ServeHTTP(whole, r)
		w.Header().Set("Content-Length", strconv.Itoa(whole.Body.Len()))
		w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		panic(http.ErrAbortHandler)
	})
}
