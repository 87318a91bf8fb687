package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// teamInfo is what inspect says of the bundle.
type teamInfo struct {
	Modules, Toolchains, Tools, Graph []struct {
		Size      int64
		Platforms []string
	}
	Platforms []struct {
		Layers       int
		Architecture string
	}
	Blobs int
}

// table prints what the bundle of the team costs, and what others beside it would.
func (tm *team) table(t *testing.T, s site, inside string) {
	c := tm.command()
	var info teamInfo
	if err := json.Unmarshal([]byte(c.must(t, binary, "inspect", "--format", "json", inside)), &info); err != nil {
		t.Fatal(err)
	}
	layout := diskUse(t, filepath.Join(tm.dir, "team.dir"))
	var modules, toolchains, tools, second int64
	for _, l := range slices.Concat(info.Modules, info.Graph) {
		modules += l.Size
	}
	for _, l := range info.Toolchains {
		toolchains += l.Size
	}
	for _, l := range info.Tools {
		tools += l.Size
	}
	for _, l := range slices.Concat(info.Toolchains, info.Tools) {
		if slices.Equal(l.Platforms, []string{"linux/arm64"}) {
			second += l.Size
		}
	}
	rows := [][2]string{
		{"modules", fmt.Sprint(len(info.Modules))},
		{"layers a platform", fmt.Sprint(info.Platforms[0].Layers)},
		{"blobs", fmt.Sprint(info.Blobs)},
		{"zips", mb(zipBytes(t, filepath.Join(s.dir, "current/mod/cache/download")))},
		{"layout: modules and graph", mb(modules)},
		{"layout: toolchains", mb(toolchains)},
		{"layout: tools", mb(tools)},
		{"layout: all", mb(layout)},
	}
	var separate int64
	for _, p := range tm.kinds.projects {
		n := tm.tarball(t, filepath.Join(tm.dir, p.name))
		separate += n
		rows = append(rows, [2]string{"tar czf of the cache of " + p.name, mb(n)})
	}
	rows = append(rows, [2]string{"tar czf of all four caches", mb(separate)}, [2]string{"linux/arm64 adds", mb(second)})

	if err := os.CopyFS(filepath.Join(tm.dir, "fifth"), os.DirFS(extractModule(t, "github.com/charmbracelet/gum@v0.14.5"))); err != nil {
		t.Fatal(err)
	}
	c.must(t, binary, "pack", "five")
	rows = append(rows, [2]string{"a fifth project (gum) adds", tm.added(t, "oci:team.dir:v1", "oci:five.dir:v1")})
	tm.tidy(t, "github.com/spf13/cobra@v1.10.2")
	c.must(t, binary, "pack", "bumped")
	rows = append(rows, [2]string{"cobra v1.9.1 -> v1.10.2 adds", tm.added(t, "oci:team.dir:v1", "oci:bumped.dir:v1")})
	c.must(t, binary, "copy", "--since", inside, "oci:bumped.dir:v1", "oci:delta.dir:v2")
	rows = append(rows, [2]string{"the delta of that, as a layout", mb(diskUse(t, filepath.Join(tm.dir, "delta.dir")))})
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%-32s %s\n", r[0], r[1])
	}
	t.Logf("the team's bundle:\n%s", &b)
}

func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// added is what only the second bundle has.
func (tm *team) added(t *testing.T, from, to string) string {
	t.Helper()
	var d struct{ AddedBlobs, AddedBytes int64 }
	if err := json.Unmarshal([]byte(tm.command().must(t, binary, "diff", "--format", "json", from, to)), &d); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d layers, %s", d.AddedBlobs, mb(d.AddedBytes))
}

// zipBytes counts the zips of modules, and not those of toolchains.
func zipBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".zip" || strings.Contains(name, "golang.org/toolchain") {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tarball fills a module cache of its own for a project, as far as a bundle goes, and returns how large its downloads are
// as a tar.gz.
func (tm *team) tarball(t *testing.T, project string) int64 {
	t.Helper()
	cache, dir := tempDir(t), copyTree(t, project)
	c := command{dir: dir, env: slices.Concat(tm.env, []string{"GOMODCACHE=" + cache, "GOFLAGS=-modcacherw",
		"GOPROXY=file://" + goEnv["GOMODCACHE"] + "/cache/download," + goEnv["GOPROXY"]})}
	c.must(t, "sh", "-c", `set -e
if [ -e go.work ]; then go mod download; fi
find . -name go.mod -not -path '*/testdata/*' | while read -r file; do
	(cd "$(dirname "$file")" && export GOWORK=off && go mod download && go mod tidy && go list -m all)
done`)
	name := filepath.Join(tempDir(t), "cache.tar.gz")
	c.must(t, "tar", "czf", name, "-C", filepath.Join(cache, "cache"), "download")
	return diskUse(t, name)
}
