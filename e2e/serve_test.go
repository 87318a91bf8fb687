package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// startServe runs "goferry serve" until the test ends, and returns its URL and its process.
func startServe(t *testing.T, args ...string) (url string, process *os.Process) {
	t.Helper()
	cmd := exec.Command(binary, slices.Concat([]string{"serve", anybody, "--listen", "127.0.0.1:0"}, args)...)
	cmd.Env = environ()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("goferry serve: %v\n%s", err, &stderr)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd.Process
}

// goroot returns where a released Go is, which the go command gets from the module proxy.
func goroot(t *testing.T, version string) string {
	t.Helper()
	return command{env: []string{"GOTOOLCHAIN=" + version}, dir: t.TempDir()}.must(t, "go", "env", "GOROOT")
}

// served runs a line of shell in dir, where the network has a server of the bundle and nothing else, with a go command and
// the environment that the server tells. Home and module cache are empty.
func served(t *testing.T, ref, goroot, gotoolchain, dir, line string) result {
	t.Helper()
	need(t, "unshare", "apt-get install util-linux")
	need(t, "ip", "apt-get install iproute2")
	const script = `set -e
ip link set lo up
mkfifo "$HOME/url"
"$0" serve --insecure-ignore-signature --quiet --access-log none --listen 127.0.0.1:0 "$1" >"$HOME/url" & server=$!
read -r url <"$HOME/url"
eval "$("$0" env "$url")"
status=0; sh -ec "$2" || status=$?
kill $server
wait $server
exit $status`
	args := []string{"-n"}
	if os.Geteuid() != 0 {
		args = []string{"-rn"}
	}
	home := tempDir(t)
	cmd := exec.CommandContext(t.Context(), "unshare", append(args, "sh", "-c", script, binary, ref, line)...)
	cmd.Dir = dir
	cmd.Env = []string{"HOME=" + home, "PATH=" + filepath.Join(goroot, "bin") + ":/usr/sbin:/usr/bin:/sbin:/bin", "GOFLAGS=-modcacherw", "GOTOOLCHAIN=" + gotoolchain,
		"GOCACHE=" + goEnv["GOCACHE"]} // of compiled packages, which no network has to do with
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run() // the exit code tells
	return result{[]string{"served", line}, stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// packOld packs a project that old go commands can build, with a new toolchain, and returns it with its go.sum as it is
// made online.
func packOld(t *testing.T) (ref, project, goSum string) {
	t.Helper()
	project = tempDir(t)
	write(t, filepath.Join(project, "go.mod"), "module example.com/old\n\ngo 1.21\n\nrequire rsc.io/quote v1.5.2\n")
	write(t, filepath.Join(project, "main.go"), "package main\n\nimport \"rsc.io/quote\"\n\nfunc main() { println(quote.Go()) }\n")
	online := copyTree(t, project)
	command{dir: online, env: []string{"GOTOOLCHAIN=local"}}.must(t, "go", "mod", "tidy")
	sum, err := os.ReadFile(filepath.Join(online, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	ref = "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	goferry(t, "pack", "-C", online, "--toolchain", goVersion, "--platform", "linux/amd64", "-o", ref)
	return ref, project, string(sum)
}

// TestServeGo lets go commands of three releases work with nothing but a server, checksums on, and lets the old ones switch
// to the toolchain that it has.
func TestServeGo(t *testing.T) {
	ref, project, goSum := packOld(t)
	for _, version := range []string{goVersion, "go1.24.13", "go1.22.12"} {
		t.Run(version, func(t *testing.T) {
			root := goroot(t, version)
			dir := copyTree(t, project)
			served(t, ref, root, "local", dir, `go mod tidy && go mod verify && go build ./... && go list -m -versions rsc.io/quote &&
go get rsc.io/quote@latest && go mod download && ! go get rsc.io/quote@v1.0.0`).want(t, 0).
				says(t, "not found: rsc.io/quote@v1.0.0 is in none of: "+ref, "of rsc.io/quote there are: v1.5.2")
			if got, _ := os.ReadFile(filepath.Join(dir, "go.sum")); string(got) != goSum {
				t.Errorf("go.sum is\n%s\nonline it is\n%s", got, goSum)
			}
			goMod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "go.mod"), strings.Replace(string(goMod), "go 1.21\n", "go 1.26.0\n\ntoolchain "+goVersion+"\n", 1))
			if out := served(t, ref, root, "auto", dir, "go version && go build ./...").want(t, 0).text(); !strings.Contains(out, goVersion) {
				t.Errorf("after switching: %s", out)
			}
		})
	}
}

// TestServeReaders lets others read bundles from the server as from a registry.
func TestServeReaders(t *testing.T) {
	f := packHello(t)
	url, _ := startServe(t, "--quiet", "go/app="+f.ref)
	host := strings.TrimPrefix(url, "http://")
	image := host + "/go/app:v1"
	crane := tool(t, "crane")
	for _, args := range [][]string{{"validate", "--fast", "--remote", image}, {"digest", image}, {"ls", host + "/go/app"}, {"catalog", host}} {
		command{}.must(t, crane, append([]string{"--insecure"}, args...)...)
	}
	dir := tempDir(t)
	command{}.must(t, crane, "--insecure", "pull", "--format", "oci", image, filepath.Join(dir, "crane"))
	validateLayout(t, filepath.Join(dir, "crane"))
	if got := goferry(t, "copy", "--plain-http", image, "oci:"+filepath.Join(dir, "goferry")+":v1"); got != f.digest {
		t.Errorf("goferry copy: %s, want %s", got, f.digest)
	}
	goferry(t, "verify", "oci:"+filepath.Join(dir, "goferry")+":v1")
	t.Run("skopeo", func(t *testing.T) {
		need(t, "skopeo", "apt-get install skopeo")
		copied := "oci:" + filepath.Join(dir, "skopeo") + ":v1"
		command{}.must(t, "skopeo", "copy", "--all", "--preserve-digests", "--src-tls-verify=false", "docker://"+image, copied)
		goferry(t, "verify", copied)
	})
}

// TestServeEngines builds in containers from a bundle that no other registry has.
func TestServeEngines(t *testing.T) {
	url, _ := startServe(t, "--quiet", "go/toolchain="+packContainer(t).ref)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			build := e.start(t)
			build(t, copyTree(t, "testdata/container"), "from.Dockerfile", strings.TrimPrefix(url, "http://")+"/go/toolchain:v1", "")
		})
	}
}
