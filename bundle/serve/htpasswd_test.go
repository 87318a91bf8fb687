package serve

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func passwords(t testing.TB, file string, pairs ...string) {
	t.Helper()
	text := "# users\n"
	for i := 0; i < len(pairs); i += 2 {
		hash, err := bcrypt.GenerateFromPassword([]byte(pairs[i+1]), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		text += pairs[i] + ":" + string(hash) + "\n\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUsers(t *testing.T) {
	s, _ := small(t)
	file := filepath.Join(t.TempDir(), "htpasswd")
	passwords(t, file, "ann", "secret", "bob", "other")
	var err error
	if s.opts.Users, err = OpenHtpasswd(file); err != nil {
		t.Fatal(err)
	}
	url := start(t, s)
	status := func(path, user, password string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			r.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if challenge := resp.Header.Get("WWW-Authenticate"); (resp.StatusCode == 401) != (challenge != "") {
			t.Errorf("GET %s as %s: %s, WWW-Authenticate %q", path, user, resp.Status, challenge)
		}
		return resp.StatusCode
	}
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	check("healthz", status("/healthz", "", ""), 200)
	for _, path := range []string{"/", "/metrics", "/goferry/env.json", "/v2/", "/example.com/big/@v/list", "/none"} {
		check(path+" without a password", status(path, "", ""), 401)
		check(path+" with a wrong one", status(path, "ann", "other"), 401)
		check(path+" of nobody", status(path, "eve", "secret"), 401)
	}
	for range 2 { // the second time it is known
		check("ann", status("/", "ann", "secret"), 200)
		check("bob", status("/", "bob", "other"), 200)
		check("ann as bob", status("/", "bob", "secret"), 401)
	}

	passwords(t, file, "ann", "changed", "eve", "secret")
	later(t, file)
	s.poll(t.Context(), time.Now())
	check("ann with the old password", status("/", "ann", "secret"), 401)
	check("ann with the new one", status("/", "ann", "changed"), 200)
	check("bob, who is gone", status("/", "bob", "other"), 401)
	check("eve, who is new", status("/", "eve", "secret"), 200)

	var told error
	s.opts.Failed = func(err error) { told = err }
	if err := os.WriteFile(file, []byte("ann:plain\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.poll(t.Context(), time.Now())
	if told == nil {
		t.Error("a file that cannot be read is not told")
	}
	check("with a file that cannot be read", status("/", "ann", "changed"), 200)
}

// later makes a file newer than it was, whatever the clock of the file system.
func later(t testing.TB, file string) {
	t.Helper()
	at := time.Now().Add(time.Hour)
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestHtpasswdRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "MD5": "ann:$apr1$x$y\n", "plain": "ann:secret\n", "no user": ":$2y$05$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijkl\n",
		"no hash": "ann\n", "SHA-1": "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
	} {
		file := filepath.Join(t.TempDir(), "htpasswd")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenHtpasswd(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
