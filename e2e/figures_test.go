package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFigures measures whole commands side by side, in one run on one machine, against what people do today, and prints the
// ratios. It fails where a promise is not kept. Everything is read once before the clock starts, so no disk is measured:
//
//	go test -run TestFigures -figures -v -timeout 1h .
func TestFigures(t *testing.T) {
	if !*figures {
		t.Skip("takes minutes: run it with -figures")
	}
	b := newBench(t)
	t.Run("first pack", b.firstPack)
	t.Run("pack again", b.packAgain)
	t.Run("unpack", b.unpack)
	t.Run("copy", b.copy)
}

// caddy is the project that is measured: 220 modules, 211 MB of zips.
const caddy = "github.com/caddyserver/caddy/v2@v2.11.9"

// A bench is the project, a module cache that is warm for it, and what the steps leave for the next.
type bench struct {
	project, cache string
	remembered     string // the cache directory in which goferry remembers what it has proven
	layout         string
	tarball        string
}

func newBench(t *testing.T) *bench {
	dir := tempDir(t)
	b := &bench{
		project: extractModule(t, caddy), cache: filepath.Join(dir, "modcache"), remembered: filepath.Join(dir, "remembered"),
		layout: filepath.Join(dir, "layout"), tarball: filepath.Join(dir, "modcache.tar.gz"),
	}
	fill := command{dir: copyTree(t, b.project), env: []string{"GOMODCACHE=" + b.cache, "GOWORK=off",
		"GOPROXY=file://" + goEnv["GOMODCACHE"] + "/cache/download," + goEnv["GOPROXY"]}}
	fill.must(t, "go", "mod", "download")
	fill.must(t, "go", "mod", "tidy")
	fill.must(t, "go", "list", "-m", "all")
	fill.must(t, "sh", "-c", `find "$GOMODCACHE" -type f -exec cat {} + >/dev/null`)
	return b
}

func (b *bench) command() command {
	return command{dir: b.project, env: []string{"GOMODCACHE=" + b.cache, "XDG_CACHE_HOME=" + b.remembered, "GOWORK=off"}}
}

func (b *bench) pack(t *testing.T, layout string) cost {
	return b.command().measure(t, binary, "pack", "--toolchain", "none", "-o", "oci:"+layout+":v1")
}

func (b *bench) firstPack(t *testing.T) {
	ours := b.pack(t, b.layout)
	theirs := b.command().measure(t, "tar", "czf", b.tarball, "-C", b.cache, ".")
	compare(t, "first pack : tar czf", ours.wall, theirs.wall, 1.0/8)
	atMost(t, "bytes : tar czf", float64(diskUse(t, b.layout)), float64(diskUse(t, b.tarball)), 0.5)
	memory(t, "first pack", ours)
}

func (b *bench) packAgain(t *testing.T) {
	dir := tempDir(t)
	ours := b.pack(t, filepath.Join(dir, "layout"))
	theirs := b.command().measure(t, "sh", "-c", `set -e
find "$GOMODCACHE/cache/download" -name '*.zip' >"$0/zips"
xargs sha256sum <"$0/zips" >/dev/null
mkdir "$0/copies"
n=0; while read -r zip; do n=$((n+1)); cp "$zip" "$0/copies/$n.zip"; done <"$0/zips"`, dir)
	compare(t, "pack again : sha256sum + cp", ours.wall, theirs.wall, 1.5)
	memory(t, "pack again", ours)
	same := b.pack(t, b.layout)
	t.Logf("pack again into the same layout: %v", same.wall.Round(time.Millisecond))
}

func (b *bench) unpack(t *testing.T) {
	dir := tempDir(t)
	ours := command{}.measure(t, binary, "unpack", anybody, "oci:"+b.layout+":v1", filepath.Join(dir, "site"))
	if err := os.Mkdir(filepath.Join(dir, "modcache"), 0o755); err != nil {
		t.Fatal(err)
	}
	theirs := command{}.measure(t, "tar", "xzf", b.tarball, "-C", filepath.Join(dir, "modcache"))
	compare(t, "unpack : tar xzf", ours.wall, theirs.wall, 1.0/5)
	memory(t, "unpack", ours)
	// The next bundle has one small module more.
	b.command().measure(t, binary, "pack", "--toolchain", "none", "--module", "rsc.io/quote@v1.5.2", "-o", "oci:"+b.layout+":v2")
	next := command{}.measure(t, binary, "unpack", anybody, "oci:"+b.layout+":v2", filepath.Join(dir, "site"))
	t.Logf("unpack the next bundle : unpack = %.3f (%v)", next.wall.Seconds()/ours.wall.Seconds(), next.wall.Round(time.Millisecond))
}

// copy gives everybody an empty registry in this process, and takes the faster of two runs.
func (b *bench) copy(t *testing.T) {
	registry := func() string { return startInProcess(t, security{}).host }
	layout := "oci:" + b.layout + ":v1"
	ours := best(func() cost { return command{}.measure(t, binary, "copy", "--plain-http", layout, registry()+"/app:v1") })
	memory(t, "copy", ours)
	regctlConfig := "REGCTL_CONFIG=" + filepath.Join(tempDir(t), "regctl.json")
	for name, run := range map[string]func() cost{
		"crane push": func() cost {
			return command{}.measure(t, tool(t, "crane"), "push", "--insecure", "--index", b.layout, registry()+"/app:v1")
		},
		"skopeo copy": func() cost {
			return command{}.measure(t, "skopeo", "copy", "--all", "--preserve-digests", "--dest-tls-verify=false", layout, "docker://"+registry()+"/app:v1")
		},
		"regctl image copy": func() cost {
			host, c := registry(), command{env: []string{regctlConfig}}
			c.must(t, tool(t, "regctl"), "registry", "set", "--tls", "disabled", host)
			return c.measure(t, tool(t, "regctl"), "image", "copy", "ocidir://"+b.layout+":v1", host+"/app:v1")
		},
	} {
		compare(t, "copy : "+name, ours.wall, best(run).wall, 1)
	}
}

func best(run func() cost) cost {
	a, b := run(), run()
	if b.wall < a.wall {
		return b
	}
	return a
}

func compare(t *testing.T, what string, ours, theirs time.Duration, limit float64) {
	t.Helper()
	atMost(t, fmt.Sprintf("%s (%v : %v)", what, ours.Round(time.Millisecond), theirs.Round(time.Millisecond)), ours.Seconds(), theirs.Seconds(), limit)
}

func atMost(t *testing.T, what string, ours, theirs, limit float64) {
	t.Helper()
	t.Logf("%s = %.3f, at most %.3f", what, ours/theirs, limit)
	if ours/theirs > limit {
		t.Errorf("%s is %.3f, more than %.3f", what, ours/theirs, limit)
	}
}

// memory holds the promise of 64 MiB above the go command's.
func memory(t *testing.T, what string, m cost) {
	t.Helper()
	const limit = 64 << 20
	t.Logf("%s: peak memory %.1f MiB, of the commands below it %.1f MiB", what, float64(m.own)/(1<<20), float64(m.child)/(1<<20))
	if m.own > limit {
		t.Errorf("%s: peak memory is more than %d MiB", what, limit>>20)
	}
}

func diskUse(t *testing.T, path string) (n int64) {
	t.Helper()
	out := command{}.must(t, "du", "--summarize", "--apparent-size", "--bytes", path)
	if _, err := fmt.Sscan(strings.Fields(out)[0], &n); err != nil {
		t.Fatal(err)
	}
	return n
}
