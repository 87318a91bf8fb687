package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// buildPlugin and buildHost make the two of the project "plugin".
const (
	buildHost   = "go build -trimpath -o host.out ./host"
	buildPlugin = "go build -trimpath -buildmode=plugin -o greeting.so ./greeting"
)

// TestPlugin builds a program and a plugin in two places, from one bundle and with no network: the plugin loads. One that
// was built from a bundle with another module or another Go does not, and diff has said so.
func TestPlugin(t *testing.T) {
	need(t, "gcc", "apt-get install gcc libc6-dev")
	project, ref := pluginProject(t, goVersion)
	if said := goferry(t, "inspect", ref); !strings.Contains(said, "needs a C compiler") || !strings.Contains(said, "plugin (linux/amd64)") {
		t.Errorf("inspect does not say that plugin needs a C compiler:\n%s", said)
	}
	here, there := unpack(t, ref), unpack(t, ref)
	there.home = here.home // what -trimpath builds is the same in all places, so one build cache does
	here.must(t, project, buildHost)
	there.must(t, project, buildPlugin)
	load := filepath.Join(project, "host.out") + " " + filepath.Join(project, "greeting.so")
	if got := here.must(t, project, load); got != "plugin: hello.host" {
		t.Errorf("the plugin says %q", got)
	}
	for _, test := range []struct{ name, goVersion, change, says, dies string }{
		{"another module", goVersion, "go get github.com/BurntSushi/toml@v1.5.0", " where both have packages of github.com/BurntSushi/toml v1.6.0 -> v1.5.0",
			"plugin was built with a different version of package github.com/BurntSushi/toml"},
		{"another Go", olderGo, "true", ": go linux/amd64 " + goVersion + " -> " + olderGo, "no plugin module data"},
	} {
		t.Run(test.name, func(t *testing.T) {
			other, changed := pluginProject(t, test.goVersion, test.change)
			want := "plugins built with FROM do not load into programs built with TO" + test.says
			if said := goferry(t, "diff", ref, changed); !strings.HasSuffix(said, "\n"+want) {
				t.Errorf("diff says\n%s\nand not %q", said, want)
			}
			elsewhere := unpack(t, changed)
			elsewhere.home = here.home
			elsewhere.must(t, other, buildPlugin)
			if err := os.Rename(filepath.Join(other, "greeting.so"), filepath.Join(project, "greeting.so")); err != nil {
				t.Fatal(err)
			}
			r := here.run(t, project, load).says(t, test.dies)
			if r.code == 0 {
				t.Errorf("the plugin says %q", r.text())
			}
		})
	}
}

// pluginProject packs a copy of the project "plugin", after running commands in it.
func pluginProject(t *testing.T, goVersion string, commands ...string) (dir, ref string) {
	t.Helper()
	dir, ref = copyTree(t, "testdata/plugin"), layoutRef(t)
	for _, line := range commands {
		command{dir: dir}.must(t, "sh", "-c", line)
	}
	goferry(t, "pack", "-C", dir, "--toolchain", goVersion, "--platform", "linux/amd64", "-o", ref)
	return dir, ref
}
