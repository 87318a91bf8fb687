package e2e

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// linter is the project whose modules are served: 223 of them.
const linter = "github.com/golangci/golangci-lint/v2@v2.15.0"

// TestServeFigures measures the server side by side with others that serve the same files from a disk, in one run, and
// prints the ratios. Each server has one core and wrk, the client, the other; nobody writes a log:
//
//	go test -run TestServeFigures -figures -v -timeout 1h .
func TestServeFigures(t *testing.T) {
	if !*figures {
		t.Skip("takes minutes: run it with -figures")
	}
	need(t, "wrk", "apt-get install wrk")
	need(t, "nginx", "apt-get install nginx-light")
	project := extractModule(t, linter)
	dir := tempDir(t)
	ref := "oci:" + filepath.Join(dir, "layout") + ":v1"
	command{dir: project, env: []string{"GOWORK=off"}}.must(t, binary, "pack", "--toolchain", "none", "-o", ref)
	goferry(t, "unpack", anybody, "-q", ref, filepath.Join(dir, "site"))
	tree := filepath.Join(dir, "site", "current", "mod", "cache", "download")
	t.Run("zips", func(t *testing.T) { serveZips(t, ref, tree) })
	t.Run("memory", func(t *testing.T) { serveMemory(t, ref, tree) })
	t.Run("go mod download", func(t *testing.T) { serveDownload(t, ref, tree, project) })
	t.Run("start", serveStart)
}

// zips returns the addresses of the zips in a tree that have at least and at most so many bytes.
func zips(t *testing.T, tree string, least, most int64) (paths []string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(tree)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".zip" {
			return err
		}
		if info, err := d.Info(); err == nil && info.Size() >= least && info.Size() <= most {
			paths = append(paths, strings.TrimPrefix(name, root))
		}
		return nil
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d zips of %d to %d bytes: %v", len(paths), least, most, err)
	}
	slices.Sort(paths)
	return paths
}

// A load is what wrk got out of a server, a second, and a second of the server's own processor time: where others work
// on the machine too only the latter can be relied on.
type load struct{ requests, bytes, perCPU float64 }

func serveZips(t *testing.T, ref, tree string) {
	servers := []oneCore{startGoferry(t, ref), startNginx(t, tree), startFileServer(t, tree)}
	for _, c := range []struct {
		name        string
		least, most int64
	}{{"zips of 100 to 300 KB", 100_000, 300_000}, {"all zips over 100 KB", 100_000, 1 << 40}} {
		paths := zips(t, tree, c.least, c.most)
		best := make([]load, len(servers))
		for range 3 { // in turn, so that who else works here is in the way of all
			for i, s := range servers {
				got := wrk(t, s, 64, 4*time.Second, paths)
				best[i] = load{max(best[i].requests, got.requests), max(best[i].bytes, got.bytes), max(best[i].perCPU, got.perCPU)}
			}
		}
		for i, s := range servers {
			t.Logf("%s (%d): %-15s %6.0f requests/s, %5.0f MB/s, %6.0f requests/CPU s; goferry : it = %.2f, %.2f of CPU", c.name, len(paths), s.name,
				best[i].requests, best[i].bytes/1e6, best[i].perCPU, best[0].bytes/best[i].bytes, best[0].perCPU/best[i].perCPU)
		}
		atMost(t, c.name+", nginx : goferry, requests a second", best[1].requests, best[0].requests, 1/0.8)
		atMost(t, c.name+", nginx : goferry, bytes a second", best[1].bytes, best[0].bytes, 1/0.8)
	}
}

// wrk asks for the paths, one after the other, on so many connections.
func wrk(t *testing.T, s oneCore, connections int, d time.Duration, paths []string) load {
	t.Helper()
	script := filepath.Join(tempDir(t), "paths.lua")
	write(t, script, "local paths = {\""+strings.Join(paths, "\", \"")+"\"}\nlocal i = 0\n"+
		"request = function()\n  i = i % #paths + 1\n  return wrk.format(nil, paths[i])\nend\n")
	before := processorTime(t, s.pid)
	out := command{}.must(t, "taskset", "-c", "1", "wrk", "-t1", "-c"+strconv.Itoa(connections), fmt.Sprintf("-d%ds", int(d.Seconds())), "--timeout", "30s", "-s", script, s.url)
	if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		t.Errorf("%s: %s", s.name, out)
	}
	m := regexp.MustCompile(`(\d+) requests in ([0-9.]+)s, ([0-9.]+)([KMGT]?)B read`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("wrk: %s", out)
	}
	number := func(s string) float64 { f, _ := strconv.ParseFloat(s, 64); return f }
	unit := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[m[4]]
	return load{number(m[1]) / number(m[2]), number(m[3]) * unit / number(m[2]), number(m[1]) / (processorTime(t, s.pid) - before).Seconds()}
}

// onOneCore is a command that has the first core to itself, as far as it is ours to say.
func onOneCore(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("taskset", slices.Concat([]string{"-c", "0", name}, args)...)
	cmd.Env = environ("GOMAXPROCS=1")
	return cmd
}

// A oneCore is a server on one core.
type oneCore struct {
	name, url string
	pid       int
}

// processorTime is what a process and those below it have used.
func processorTime(t *testing.T, pid int) (d time.Duration) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, ticks := range fields[11:13] { // utime, stime
		n, _ := strconv.Atoi(ticks)
		d += time.Duration(n) * 10 * time.Millisecond
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	for child := range strings.FieldsSeq(string(children)) {
		n, _ := strconv.Atoi(child)
		d += processorTime(t, n)
	}
	return d
}

// printsURL starts a server that prints where it is, until the test ends.
func printsURL(t *testing.T, name string, cmd *exec.Cmd) oneCore {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait() // the file server has no clean end
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return oneCore{name, strings.TrimSpace(line), cmd.Process.Pid} // taskset becomes the server
}

func startGoferry(t *testing.T, ref string) oneCore {
	t.Helper()
	return printsURL(t, "goferry", onOneCore(binary, "serve", anybody, "--quiet", "--access-log", "none", "--listen", "127.0.0.1:0", ref))
}

// startNginx serves a tree with one worker, sending files by the kernel.
func startNginx(t *testing.T, tree string) oneCore {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := tempDir(t)
	config := filepath.Join(dir, "nginx.conf")
	write(t, config, fmt.Sprintf(`daemon off;
user root;
pid %[1]s/pid;
error_log %[1]s/log;
worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	default_type application/zip;
	server { listen %[2]s; root %[3]s; }
}
`, dir, addr, tree))
	cmd := onOneCore("nginx", "-c", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return oneCore{"nginx", "http://" + addr, cmd.Process.Pid}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nginx does not listen")
	return oneCore{}
}

// fileServerVariable makes this program a file server of a directory, for a process of its own: see TestMain.
const fileServerVariable = "GOFERRY_E2E_FILE_SERVER"

func startFileServer(t *testing.T, tree string) oneCore {
	t.Helper()
	cmd := onOneCore(os.Args[0])
	cmd.Env = append(cmd.Env, fileServerVariable+"="+tree)
	return printsURL(t, "http.FileServer", cmd)
}

// fileServer is what a module proxy in Go comes down to once its files are on a disk.
func fileServer(dir string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	return http.Serve(l, http.FileServer(http.Dir(dir)))
}

// serveMemory holds that memory does not grow with the clients.
func serveMemory(t *testing.T, ref, tree string) {
	server := startGoferry(t, ref)
	paths := zips(t, tree, 0, 1<<40)
	resident := func() float64 { return float64(peak(server.pid)) / (1 << 20) }
	idle := resident()
	wrk(t, server, 20, 4*time.Second, paths)
	few := resident()
	wrk(t, server, 200, 8*time.Second, paths)
	many := resident()
	t.Logf("peak memory: %.1f MiB after the start, %.1f MiB with 20 clients, %.1f MiB with 200", idle, few, many)
	if many > few+16 {
		t.Errorf("200 clients take %.1f MiB more than 20", many-few)
	}
}

// serveDownload compares a module cache filled from the server with one filled from the same files on the disk. Nobody has
// promised anything: it is told, not judged.
func serveDownload(t *testing.T, ref, tree, project string) {
	url, _ := startServe(t, "--quiet", "--access-log", "none", ref)
	download := func(proxy string) time.Duration {
		dir := tempDir(t)
		defer removeAll(dir)
		return command{dir: project, env: []string{"GOWORK=off", "GOFLAGS=-modcacherw", "GOPROXY=" + proxy, "GOPATH=" + dir, "GOMODCACHE=" + filepath.Join(dir, "mod")}}.
			measure(t, "go", "mod", "download").wall
	}
	ours, files := download(url), download("file://"+tree)
	for range 2 { // in turn, as above
		ours, files = min(ours, download(url)), min(files, download("file://"+tree))
	}
	t.Logf("go mod download from serve : from file:// (%v : %v) = %.3f", ours.Round(time.Millisecond), files.Round(time.Millisecond), ours.Seconds()/files.Seconds())
}

// serveStart measures a start with two thousand modules, of which verifying is reported apart.
func serveStart(t *testing.T) {
	const modules = 2000
	project, proxy := manyModules(t, modules)
	ref := "oci:" + filepath.Join(tempDir(t), "layout") + ":v1"
	c := command{dir: project, env: []string{"GOPROXY=file://" + proxy, "GOSUMDB=off", "GOFLAGS=-mod=mod", "GOMODCACHE=" + filepath.Join(tempDir(t), "mod")}}
	c.must(t, binary, "pack", "--toolchain", "none", "-o", ref)
	verify := best(func() cost { return command{}.measure(t, binary, "verify", ref) })
	start := time.Now()
	startServe(t, "--quiet", ref)
	all := time.Since(start)
	t.Logf("%d modules: verify %v, serve until it listens %v", modules, verify.wall.Round(time.Millisecond), all.Round(time.Millisecond))
	atMost(t, "start without verifying, in seconds", (all - verify.wall).Seconds(), 1, 1)
}

// manyModules makes a project that needs so many modules, and a tree of files that has them.
func manyModules(t *testing.T, n int) (project, proxy string) {
	t.Helper()
	project, proxy = tempDir(t), tempDir(t)
	goMod, goFile := "module example.com/many\n\ngo 1.26.0\n\n", "package many\n\n"
	for i := range n {
		path := fmt.Sprintf("example.com/m%04d", i)
		at := filepath.Join(proxy, path, "@v")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		mod := "module " + path + "\n\ngo 1.21\n"
		var zipped bytes.Buffer
		z := zip.NewWriter(&zipped)
		for name, text := range map[string]string{"go.mod": mod, "m.go": fmt.Sprintf("package m%04d\n", i)} {
			w, err := z.Create(path + "@v1.0.0/" + name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(w, text)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(at, "list"), "v1.0.0\n")
		write(t, filepath.Join(at, "v1.0.0.info"), `{"Version":"v1.0.0"}`)
		write(t, filepath.Join(at, "v1.0.0.mod"), mod)
		write(t, filepath.Join(at, "v1.0.0.zip"), zipped.String())
		goMod += "require " + path + " v1.0.0\n"
		goFile += fmt.Sprintf("import _ %q\n", path)
	}
	write(t, filepath.Join(project, "go.mod"), goMod)
	write(t, filepath.Join(project, "many.go"), goFile)
	return project, proxy
}
