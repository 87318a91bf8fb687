package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTeam packs what a team has, as one goferry.yaml says it: a workspace, a project with many modules, one with a
// private module in a git repository that asks for a password, and one with plugins; with two toolchains and tools. Signed,
// it goes to a registry, from there to volumes, and back from these. There every project builds and is tested, with
// no network. With -figures the project with many modules has 298, there are three platforms and five tools, and a table
// says what all of that costs:
//
//	go test -run TestTeam -figures -v -timeout 2h .
func TestTeam(t *testing.T) {
	need(t, "gcc", "apt-get install gcc libc6-dev")
	tm := newTeam(t, teamKinds(t))
	out := tm.command().must(t, binary, "pack", "--plain-http", "team")
	digest := strings.TrimPrefix(out, "team ")
	site, inside := tm.carry(t, digest)
	for _, p := range tm.kinds.projects {
		t.Run(p.name, func(t *testing.T) { site.develop(t, filepath.Join(tm.dir, p.name), p.lines) })
	}
	for _, line := range tm.kinds.toolLines {
		site.must(t, filepath.Join(tm.dir, "workspace"), line)
	}
	t.Run("served", func(t *testing.T) {
		const line = "go mod download && go build -o app.out . && ./app.out"
		served(t, inside, goroot(t, goVersion), "local", filepath.Join(tm.dir, "private"), line).want(t, 0)
	})
	if *figures {
		tm.table(t, site, inside)
	}
}

// A teamProject is a directory of a team, and what is done there with no network.
type teamProject struct {
	name  string
	lines []string
}

// kinds say what a team has.
type kinds struct {
	projects         []teamProject
	many             string // the source of the project with many modules
	platforms, tools []string
	toolLines        []string // uses of the tools
	older            string   // Go, beside goVersion
	volume           string   // size
}

func teamKinds(t *testing.T) kinds {
	k := kinds{
		many:      "testdata/hello",
		platforms: []string{"linux/amd64"},
		tools:     []string{"google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12"},
		toolLines: []string{"protoc-gen-go --version"},
		older:     olderGo,
		volume:    "100MB",
	}
	many := []string{"go build ./...", "go test ./...", "go mod tidy"}
	if *figures {
		k.many = extractModule(t, "github.com/prometheus/prometheus@v0.315.0")
		k.platforms = []string{"linux/amd64", "linux/arm64", "darwin/arm64"}
		k.tools = append(k.tools, "golang.org/x/tools/gopls@v0.24.0", "github.com/go-delve/delve/cmd/dlv@v1.27.2",
			"honnef.co/go/tools/cmd/staticcheck@v0.8.2", "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0")
		k.toolLines = append(k.toolLines, "gopls version", "dlv version", "staticcheck ./lib", "golangci-lint version")
		k.older, k.volume = "go1.25.14", "700MB" // which there is for all three
		many = []string{"go build ./cmd/...", "go test ./model/labels/... ./promql/parser/...", "go mod tidy"}
	}
	k.projects = []teamProject{
		{"workspace", []string{"go run ./app", "go vet ./app ./lib", "(cd app && GOWORK=off go test ./...)", "(cd lib && GOWORK=off go test ./...)"}},
		{"many", append(many, "go mod verify", "go list -m all")},
		{"private", []string{"go build ./...", "go test ./...", "go mod tidy", "go mod verify", "go list -m all"}},
		{"plugin", []string{buildHost, buildPlugin, "./host.out ./greeting.so", "go test ./..."}},
	}
	return k
}

// A team is a directory with goferry.yaml and the projects.
type team struct {
	kinds    kinds
	dir      string
	env      []string // of somebody who may read the private repository
	registry string   // HOST/REPO
}

func newTeam(t *testing.T, k kinds) *team {
	t.Helper()
	tm := &team{kinds: k, dir: tempDir(t), env: startGit(t, "testdata/private/lib", "v1.2.0")}
	tm.env = append(tm.env, "COSIGN_PASSWORD=")
	tm.registry = startInProcess(t, security{}).host + "/team/all"
	for name, from := range map[string]string{"workspace": "testdata/workspace", "many": k.many, "private": "testdata/private/app", "plugin": "testdata/plugin"} {
		if err := os.CopyFS(filepath.Join(tm.dir, name), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	tm.tidy(t)
	tm.command().must(t, binary, "keygen", "--out", "release")
	text := fmt.Sprintf(`defaults:
  toolchains: [%s, %s]
  platforms: [%s]
  tools: [%s]
  signKey: release.key
  tags: [v1]
  annotations: {org.opencontainers.image.vendor: corp.test}
bundles:
  team:
    projects: [workspace, many, private, plugin]
    destinations: ["oci:team.dir", %q]
  five:
    projects: [workspace, many, private, plugin, fifth]
    destinations: ["oci:five.dir"]
  bumped:
    projects: [workspace, many, private, plugin]
    destinations: ["oci:bumped.dir"]
`, goVersion, k.older, strings.Join(k.platforms, ", "), strings.Join(k.tools, ", "), tm.registry)
	if err := os.WriteFile(filepath.Join(tm.dir, "goferry.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return tm
}

// command is what somebody of the team runs.
func (tm *team) command() command { return command{dir: tm.dir, env: tm.env} }

// tidy completes the go.mod and go.sum files of the project with the private module, away from the user's module cache:
// there is another repository of the same name in every test.
func (tm *team) tidy(t *testing.T, requirements ...string) {
	t.Helper()
	cached := "GOPROXY=file://" + filepath.Join(goEnv["GOMODCACHE"], "cache", "download") + "," + goEnv["GOPROXY"]
	c := command{dir: filepath.Join(tm.dir, "private"), env: slices.Concat(tm.env, []string{"GOMODCACHE=" + tempDir(t), "GOFLAGS=-modcacherw", cached})}
	for _, r := range requirements {
		c.must(t, "go", "get", r)
	}
	c.must(t, "go", "mod", "tidy")
}

// carry takes the bundle from the registry to volumes, and from these to where there is no network. It returns where it was
// unpacked, and the layout that it came from.
func (tm *team) carry(t *testing.T, digest string) (s site, inside string) {
	t.Helper()
	c, public := tm.command(), filepath.Join(tm.dir, "release.pub")
	inside = "oci:" + filepath.Join(tm.dir, "inside.dir") + ":v1"
	c.must(t, binary, "copy", "--plain-http", "--verify", "--key", public, "--volume-size", tm.kinds.volume, tm.registry+":v1", "./volumes:v1")
	volumes, err := filepath.Glob(filepath.Join(tm.dir, "volumes", "vol-*"))
	if err != nil || len(volumes) < 2 {
		t.Fatalf("there are %d volumes, %v", len(volumes), err)
	}
	if got := c.must(t, binary, append(append([]string{"copy"}, volumes...), inside)...); got != digest {
		t.Fatalf("%s has come back of %s", got, digest)
	}
	c.must(t, binary, "verify", "--key", public, inside)
	s = site{filepath.Join(tm.dir, "site"), tempDir(t)}
	c.must(t, binary, "unpack", "--key", public, inside, s.dir)
	return s, inside
}
