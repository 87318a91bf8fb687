package e2e

import (
	"fmt"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startGit serves the directory from as the git repository team/lib.git with a tag, to those who know a password, and
// returns the environment of a user who does: for the go command it is https://git.corp.test, by the user's git settings
// and netrc file.
func startGit(t *testing.T, from, tag string) (env []string) {
	t.Helper()
	need(t, "git", "apt-get install git")
	home, root, work := tempDir(t), tempDir(t), copyTree(t, from)
	git := func(args ...string) string {
		t.Helper()
		c := command{dir: work, env: []string{"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1"}}
		return c.must(t, "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@corp.test"}, args...)...)
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "published")
	git("tag", tag)
	git("clone", "-q", "--bare", work, filepath.Join(root, "team", "lib.git"))

	const user, password = "team", "secret"
	backend := &cgi.Handler{
		Path: filepath.Join(git("--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + home},
	}
	host := startHandler(t, security{}, basicAuth(backend, user, password)).host
	name, _, _ := strings.Cut(host, ":")
	for file, text := range map[string]string{
		".gitconfig": fmt.Sprintf("[url \"http://%s/\"]\n\tinsteadOf = https://git.corp.test/\n", host),
		".netrc":     fmt.Sprintf("machine %s login %s password %s\n", name, user, password),
	} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GOPRIVATE=git.corp.test"}
}
