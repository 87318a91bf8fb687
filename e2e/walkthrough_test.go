package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestWalkthroughHarbor runs what harbor.md tells people to type, against a registry with TLS and a password.
func TestWalkthroughHarbor(t *testing.T) {
	s := startDebian(t, security{tls: true, password: true})
	w := newWalk(t, "harbor.md", "testdata/app", "harbor.corp", s.host, trusting(s)...)
	for _, dir := range []string{w.outside, w.inside} {
		write(t, filepath.Join(dir, "robot.password"), s.password)
	}
	w.run(t)
}

// TestWalkthroughStick runs what stick.md tells people to type, on a FAT32 stick, and inside without a network.
func TestWalkthroughStick(t *testing.T) {
	w := newWalk(t, "stick.md", "testdata/app", "/media/stick", fat32.insert(t, 256<<20))
	w.isolated = true
	w.run(t)
}

// TestWalkthroughDockerfile runs what dockerfile.md tells people to type, with docker.
func TestWalkthroughDockerfile(t *testing.T) {
	s := startDebian(t, security{tls: true})
	docker := startDocker(t)
	w := newWalk(t, "dockerfile.md", "testdata/app", "harbor.corp", s.host, append(trusting(s), "DOCKER_BUILDKIT=0", "DOCKER_HOST="+docker)...)
	w.run(t)
	for i, name := range []string{"Dockerfile", "debian.Dockerfile"} {
		data, err := os.ReadFile(filepath.Join(w.inside, "app", name))
		if err != nil {
			t.Fatal(err)
		}
		printed := anyDigest.ReplaceAllString(strings.ReplaceAll(string(data), s.host, "harbor.corp"), "sha256:…")
		if shown := fenced(w.text, "dockerfile")[i].text; shown != printed {
			t.Errorf("%s is shown as\n%s\nand printed as\n%s", name, shown, printed)
		}
	}
}

var anyDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// TestComparison runs what comparison.md shows of other ways.
func TestComparison(t *testing.T) {
	need(t, "unshare", "apt-get install util-linux")
	needRoot(t)
	newWalk(t, "comparison.md", "testdata/hello", "$PWD", "$PWD").run(t)
}

// trusting is the environment of clients that trust the server's certificate as they trust the system's.
func trusting(s server) []string { return []string{"SSL_CERT_DIR=" + filepath.Dir(s.ca)} }

// A walk is a page of documentation, and two machines where its commands are typed.
type walk struct {
	text            string
	name, place     string // the one thing that is not run as it stands: where bundles go
	outside, inside string // directories with the project in app
	isolated        bool   // inside has no network
	env             []string
}

func newWalk(t *testing.T, page, project, name, place string, env ...string) *walk {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "cmd", "goferry", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	w := &walk{
		text: strings.ReplaceAll(string(data), "\r\n", "\n"), name: name, place: place,
		outside: filepath.Join(dir, "outside"), inside: filepath.Join(dir, "inside"), env: append(env, "COSIGN_PASSWORD="),
	}
	if err := os.CopyFS(filepath.Join(w.outside, "app"), os.DirFS(project)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.inside, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shared := range []string{"app", "release.pub"} { // which cross by other ways
		if err := os.Symlink(filepath.Join("..", "outside", shared), filepath.Join(w.inside, shared)); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// run runs the blocks of the page, those below one heading after another in one shell.
func (w *walk) run(t *testing.T) {
	t.Helper()
	blocks := fenced(w.text, "sh")
	for len(blocks) > 0 {
		n := slices.IndexFunc(blocks, func(b block) bool { return b.heading != blocks[0].heading })
		if n < 0 {
			n = len(blocks)
		}
		script := ""
		for _, b := range blocks[:n] {
			script += strings.ReplaceAll(b.text, w.name, w.place)
		}
		w.shell(t, strings.HasPrefix(blocks[0].heading, "Inside"), script)
		blocks = blocks[n:]
	}
}

// shell runs a script on one of the machines. Inside is another home, and nothing of the settings and the Go of outside.
func (w *walk) shell(t *testing.T, inside bool, script string) {
	t.Helper()
	line := []string{"sh", "-e", "-c", script}
	c := command{dir: w.outside, env: append(slices.Clone(w.env), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"))}
	if inside {
		c.dir = w.inside
		line = slices.Concat([]string{"env", "-i", "HOME=" + w.inside, "PATH=" + filepath.Dir(binary) + ":/usr/sbin:/usr/bin:/sbin:/bin"}, w.env, line)
	}
	if inside && w.isolated {
		need(t, "unshare", "apt-get install util-linux")
		line = append([]string{"unshare", "-n"}, line...)
	}
	c.must(t, line[0], line[1:]...)
}

// A block is a fenced block of a page, and the heading that it stands below.
type block struct{ heading, text string }

// fenced returns the blocks of a page that are in a language.
func fenced(page, language string) (blocks []block) {
	heading, fence := "", ""
	for line := range strings.Lines(page) {
		text := strings.TrimSpace(line)
		switch {
		case fence == "" && strings.HasPrefix(text, "#"):
			heading = strings.TrimLeft(text, "# ")
		case strings.HasPrefix(text, "```") && fence == "":
			if fence = text; fence == "```"+language {
				blocks = append(blocks, block{heading: heading})
			}
		case text == "```":
			fence = ""
		case fence == "```"+language:
			blocks[len(blocks)-1].text += line
		}
	}
	return blocks
}
