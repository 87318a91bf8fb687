package oci

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// newRegistry answers the registry API in this process. front, if not nil, sees every request first.
func newRegistry(referrers bool, front func(http.Handler) http.Handler) http.Handler {
	var h http.Handler = registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0)))
	if front != nil {
		h = front(h)
	}
	return h
}

func startRegistry(t testing.TB, referrers bool, front func(http.Handler) http.Handler) (Reference, Options) {
	t.Helper()
	srv := httptest.NewServer(newRegistry(referrers, front))
	t.Cleanup(srv.Close)
	opts := testOptions(t)
	opts.PlainHTTP = true
	return referenceTo(srv), opts
}

func referenceTo(srv *httptest.Server) Reference {
	_, host, _ := strings.Cut(srv.URL, "://")
	return Reference{Transport: TransportRegistry, Host: host, Repository: "team/bundle"}
}

func testOptions(t testing.TB) Options {
	return Options{RetryWait: time.Millisecond, DockerConfig: filepath.Join(t.TempDir(), "config.json")}
}

// copyTo copies a signed bundle to a registry and back.
func copyTo(t *testing.T, ref Reference, opts Options) error {
	t.Helper()
	dir, root := signedBundle(t)
	src, dst := mustOpen(t, dir), mustDo(Create(t.Context(), ref, opts))
	defer src.Close()
	defer dst.Close()
	if _, err := Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}); err != nil {
		return err
	}
	s := mustDo(Open(t.Context(), ref, opts))
	defer s.Close()
	checkSigned(t, s, root, "v1")
	return nil
}

const (
	testUser     = "robot$go+ci"
	testPassword = "correct horse"
)

func withBasicAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != testUser || password != testPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "no "+password+"\n\x1b[31m")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withBearerAuth gives tokens that are good for some requests only.
func withBearerAuth(next http.Handler) http.Handler {
	var mu sync.Mutex
	left := map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		token := fmt.Sprint("Bearer token-", len(left))
		if r.URL.Path != "/token" {
			token = r.Header.Get("Authorization")
			left[token]--
		}
		good := left[token] >= 0
		mu.Unlock()
		switch user, password, _ := r.BasicAuth(); {
		case r.URL.Path == "/token" && (user != testUser || password != testPassword):
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "bad password")
		case r.URL.Path == "/token":
			mu.Lock()
			left[token] = 20
			mu.Unlock()
			json.NewEncoder(w).Encode(map[string]string{"token": strings.TrimPrefix(token, "Bearer ")})
		case !good:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "token is over")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": code, "message": message}}})
}

func TestRegistryAuth(t *testing.T) {
	for name, front := range map[string]func(http.Handler) http.Handler{"basic": withBasicAuth, "bearer": withBearerAuth} {
		t.Run(name, func(t *testing.T) {
			ref, opts := startRegistry(t, true, front)
			if err := copyTo(t, ref, opts); !errors.Is(err, ErrUnauthorized) {
				t.Errorf("without credentials: %v, want ErrUnauthorized", err)
			}
			opts.Username, opts.Password = testUser, "wrong password"
			err := copyTo(t, ref, opts)
			if !errors.Is(err, ErrUnauthorized) {
				t.Errorf("with a wrong password: %v, want ErrUnauthorized", err)
			}
			if strings.Contains(err.Error(), opts.Password) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error shows too much: %q", err)
			}
			opts.Password = testPassword
			if err := copyTo(t, ref, opts); err != nil {
				t.Errorf("with the password: %v", err)
			}

			opts.Username, opts.Password = "", ""
			if err := Login(t.Context(), ref.Host, opts, testUser, "wrong password"); !errors.Is(err, ErrUnauthorized) {
				t.Errorf("Login = %v, want ErrUnauthorized", err)
			}
			if err := Login(t.Context(), ref.Host, opts, testUser, testPassword); err != nil {
				t.Fatal(err)
			}
			if err := copyTo(t, ref, opts); err != nil {
				t.Errorf("after Login: %v", err)
			}
			if err := Logout(t.Context(), ref.Host, opts); err != nil {
				t.Fatal(err)
			}
			if err := copyTo(t, ref, opts); !errors.Is(err, ErrUnauthorized) {
				t.Errorf("after Logout: %v, want ErrUnauthorized", err)
			}
		})
	}
}

func TestRegistryTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(newRegistry(true, nil))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	ref, opts := referenceTo(srv), testOptions(t)
	if err := copyTo(t, ref, opts); !errors.Is(err, ErrNetwork) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with an unknown CA: %v, want ErrNetwork", err)
	}
	opts.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	os.WriteFile(opts.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o644)
	if err := copyTo(t, ref, opts); err != nil {
		t.Errorf("with the CA: %v", err)
	}
	opts.CAFile, opts.InsecureSkipTLSVerify = "", true
	if err := copyTo(t, ref, opts); err != nil {
		t.Errorf("without verification: %v", err)
	}
}

func TestRegistryWithoutTLSIsRefused(t *testing.T) {
	var requests atomic.Int64
	ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	})
	opts.PlainHTTP = false
	if err := copyTo(t, ref, opts); !errors.Is(err, ErrNetwork) {
		t.Errorf("Copy = %v, want ErrNetwork", err)
	}
	if requests.Load() > 0 {
		t.Error("a request was sent in the clear")
	}
}

// onlyBegins is a registry that begins an upload with a POST, whatever comes with it, as distribution's does.
func onlyBegins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			r.URL.RawQuery, r.Body = "", http.NoBody
		}
		next.ServeHTTP(w, r)
	})
}

// answer is a registry that gives one answer to the requests that match.
func answer(method, part string, status int, code, message string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == method && strings.Contains(r.URL.Path, part) {
				io.Copy(io.Discard, r.Body)
				refuse(w, status, code, message)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestRegistryRefusals(t *testing.T) {
	for _, tt := range []struct {
		method, part  string
		status        int
		code, message string
		want          error
		text          string
	}{
		{"POST", "uploads", 401, "UNAUTHORIZED", "no", ErrUnauthorized, "POST"},
		{"POST", "uploads", 403, "DENIED", "two\nlines \x1b[2J", ErrUnauthorized, `403 Forbidden: "denied: two\nlines \x1b[2J"`},
		{"POST", "uploads", 404, "NAME_UNKNOWN", "no project", ErrNotFound, "name unknown"},
		{"PUT", "uploads", 500, "UNKNOWN", "oops", ErrNetwork, "500"},
		{"PUT", "uploads", 429, "TOOMANYREQUESTS", "slow", ErrNetwork, "429"},
		{"PUT", "uploads", 400, "DIGEST_INVALID", "x", ErrDigest, "400"},
		{"PUT", "manifests", 413, "REQUEST_ENTITY_TOO_LARGE", "big", errRefused, "413"},
		{"PUT", "manifests", 403, "DENIED", "adding 72.4 KiB of storage resource, which when updated", ErrNoSpace, "storage"},
		{"PUT", "manifests", 412, "PRECONDITION", "immutable", errRefused, "412"},
		{"PUT", "manifests", 503, "", "", ErrNetwork, "503"},
		{"GET", "referrers", 403, "DENIED", "x", ErrUnauthorized, "403"},
	} {
		t.Run(fmt.Sprint(tt.method, tt.part, tt.status), func(t *testing.T) {
			refuses := answer(tt.method, tt.part, tt.status, tt.code, tt.message)
			ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler { return refuses(onlyBegins(next)) })
			err := copyTo(t, ref, opts)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), ref.Host) {
				t.Errorf("Copy = %v, want %v with %q and the host", err, tt.want, tt.text)
			}
			if strings.ContainsAny(fmt.Sprint(err), "\n\x1b?") {
				t.Errorf("error is not one clean line: %q", err)
			}
		})
	}
}

func TestRegistryOlderThanReferrers(t *testing.T) {
	for _, status := range []int{400, 404, 405, 501} {
		ref, opts := startRegistry(t, true, answer("GET", "referrers", status, "UNSUPPORTED", "what?"))
		if err := copyTo(t, ref, opts); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// firstFails fails every other PUT.
func firstFails(fail func(w http.ResponseWriter, r *http.Request)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		var n atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && n.Add(1)%2 == 1 {
				fail(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestRegistryHiccups(t *testing.T) {
	for name, fail := range map[string]func(w http.ResponseWriter, r *http.Request){
		"500":                 func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); w.WriteHeader(500) },
		"503":                 func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); w.WriteHeader(503) },
		"429 before the body": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) },
		"401":                 func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); w.WriteHeader(401) },
		"upload out of step":  func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); w.WriteHeader(416) },
		"invalid upload": func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			refuse(w, 400, "BLOB_UPLOAD_INVALID", "blob upload invalid")
		},
		"lost upload": func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); w.WriteHeader(404) },
		"connection is closed": func(w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1)
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ref, opts := startRegistry(t, true, firstFails(fail))
			src := mustCreate(t, t.TempDir())
			defer src.Close()
			desc, _ := pushLayer(t, src, strings.Repeat("a layer ", 100_000))
			dst := mustDo(Create(t.Context(), ref, opts))
			defer dst.Close()
			rc := mustDo(src.Fetch(t.Context(), desc))
			defer rc.Close()
			if err := dst.Push(t.Context(), desc, rc); err != nil {
				t.Errorf("Push = %v", err)
			}
			if ok, err := dst.Exists(t.Context(), desc); !ok || err != nil {
				t.Errorf("Exists = %v, %v", ok, err)
			}
		})
	}
}

func TestRegistryEndlessErrorsCostLittle(t *testing.T) {
	var requests atomic.Int64
	ref, opts := startRegistry(t, true, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
	})
	if err := copyTo(t, ref, opts); !errors.Is(err, ErrNetwork) {
		t.Errorf("Copy = %v, want ErrNetwork", err)
	}
	if n := requests.Load(); n > 60 {
		t.Errorf("%d requests", n)
	}
}

func TestRegistryStalls(t *testing.T) {
	body := []byte("a blob of which half arrives")
	desc := content.NewDescriptorFromBytes("application/vnd.test", body)
	for name, serve := range map[string]http.HandlerFunc{
		"before the answer": func(w http.ResponseWriter, r *http.Request) {},
		"in the answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.Write(body[:len(body)/2])
			w.(http.Flusher).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			ref, opts := startRegistry(t, true, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					requests.Add(1)
					serve(w, r)
					<-r.Context().Done()
				})
			})
			opts.StallTimeout = 50 * time.Millisecond
			s := mustDo(Open(t.Context(), ref, opts))
			defer s.Close()
			if _, err := content.FetchAll(t.Context(), s, desc); !errors.Is(err, ErrNetwork) {
				t.Errorf("Fetch = %v, want ErrNetwork", err)
			}
			if n := requests.Load(); n > 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestRegistryRedirectLoop(t *testing.T) {
	var requests atomic.Int64
	ref, opts := startRegistry(t, true, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"?"+strconv.Itoa(int(requests.Add(1))), http.StatusTemporaryRedirect)
		})
	})
	s := mustDo(Open(t.Context(), ref, opts))
	defer s.Close()
	if _, err := s.Resolve(t.Context(), "v1"); !errors.Is(err, ErrNetwork) {
		t.Errorf("Resolve = %v, want ErrNetwork", err)
	}
	if n := requests.Load(); n > maxRedirects {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestRegistryBadDownloads(t *testing.T) {
	blob := []byte(strings.Repeat("a blob ", 100_000))
	desc := content.NewDescriptorFromBytes("application/vnd.test", blob)
	serve := func(declared int, body []byte, cut bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if declared >= 0 {
				w.Header().Set("Content-Length", strconv.Itoa(declared))
			}
			w.Write(body)
			if cut {
				panic(http.ErrAbortHandler)
			}
		}
	}
	for name, tt := range map[string]struct {
		h    http.Handler
		want error
	}{
		"cut":                  {serve(len(blob), blob[:len(blob)/2], true), ErrNetwork},
		"cut, length unknown":  {serve(-1, blob[:len(blob)/2], true), ErrNetwork},
		"short":                {serve(-1, blob[:len(blob)/2], false), ErrDigest},
		"long":                 {serve(-1, append(blob[:len(blob):len(blob)], 'x'), false), ErrDigest},
		"another length":       {serve(3, []byte("abc"), false), ErrDigest},
		"another blob":         {serve(len(blob), []byte(strings.ToUpper(string(blob))), false), ErrDigest},
		"missing":              {http.NotFoundHandler(), ErrNotFound},
		"denied with a secret": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { refuse(w, 403, "DENIED", "x") }), ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			ref, opts := startRegistry(t, true, func(http.Handler) http.Handler { return tt.h })
			src := mustDo(Open(t.Context(), ref, opts))
			defer src.Close()
			dst := mustCreate(t, t.TempDir())
			defer dst.Close()
			fetch := func(ctx context.Context) (io.ReadCloser, error) { return src.Fetch(ctx, desc) }
			err := Push(t.Context(), dst, "", []Blob{{desc, fetch}}, CopyOptions{})
			if !errors.Is(err, tt.want) {
				t.Errorf("copy = %v, want %v", err, tt.want)
			}
			if tt.want == ErrNetwork && !strings.Contains(err.Error(), string(desc.Digest)) {
				t.Errorf("error does not name the blob: %v", err)
			}
			if ok, _ := dst.Exists(t.Context(), desc); ok {
				t.Error("the blob is there")
			}
		})
	}
}

func TestRegistryResolve(t *testing.T) {
	ref, opts := startRegistry(t, true, nil)
	if err := copyTo(t, ref, opts); err != nil {
		t.Fatal(err)
	}
	s := mustDo(Open(t.Context(), ref, opts))
	defer s.Close()
	_, err := s.Resolve(t.Context(), "v2")
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "v1") {
		t.Errorf("Resolve(v2) = %v, want ErrNotFound that names v1", err)
	}
	for _, target := range []string{"", "a b", "../v1"} {
		if _, err := s.Resolve(t.Context(), target); !errors.Is(err, ErrUsage) {
			t.Errorf("Resolve(%q) = %v, want ErrUsage", target, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Resolve(ctx, "v1"); !errors.Is(err, context.Canceled) {
		t.Errorf("Resolve = %v, want context.Canceled", err)
	}
	srv := httptest.NewServer(nil)
	srv.Close()
	gone := mustDo(Open(t.Context(), referenceTo(srv), opts))
	defer gone.Close()
	if _, err := gone.Resolve(t.Context(), "v1"); !errors.Is(err, ErrNetwork) {
		t.Errorf("Resolve at a closed port = %v, want ErrNetwork", err)
	}
}

func TestCopyAsksLittle(t *testing.T) {
	var heads, posts, puts atomic.Int64
	ref, opts := startRegistry(t, true, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				map[string]*atomic.Int64{"HEAD": &heads, "POST": &posts, "PUT": &puts}[r.Method].Add(1)
			}
			next.ServeHTTP(w, r)
		})
	})
	src := mustCreate(t, t.TempDir())
	defer src.Close()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest}
	m.SchemaVersion = 2
	for i := range 50 {
		layer, _ := pushLayer(t, src, fmt.Sprint(i))
		m.Layers = append(m.Layers, layer)
	}
	m.Config = pushJSON(t, src, ocispec.MediaTypeImageConfig, ocispec.Image{})
	mustTag(t, src, pushJSON(t, src, ocispec.MediaTypeImageManifest, m), "v1")
	dst := mustDo(Create(t.Context(), ref, opts))
	defer dst.Close()
	mustDo(Copy(t.Context(), src, "v1", dst, "v1", CopyOptions{}))
	if h, o, u := heads.Load(), posts.Load(), puts.Load(); h != 6 || o != 51 || u != 0 {
		t.Errorf("%d HEAD, %d POST, %d PUT for 51 blobs, want 6, 51, 0", h, o, u)
	}
}
