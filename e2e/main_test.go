package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

var (
	accept  = flag.Bool("accept", false, "run the journey of real projects and all of the table with cosign, which takes minutes")
	figures = flag.Bool("figures", false, "measure whole commands against other tools, which takes minutes")
)

var (
	tempRoot string            // holds everything that outlives one test
	binary   string            // the goferry that TestMain built
	goEnv    map[string]string // the user's own settings of the go command
)

func TestMain(m *testing.M) {
	flag.Parse()
	if dir := os.Getenv(fileServerVariable); dir != "" {
		fmt.Fprintln(os.Stderr, fileServer(dir))
		os.Exit(1)
	}
	if runtime.GOOS != "linux" {
		fmt.Println("e2e: skipped, network namespaces and containers need Linux")
		return
	}
	if err := setUp(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	removeAll(tempRoot)
	os.Exit(code)
}

func setUp() (err error) {
	if tempRoot, err = os.MkdirTemp("", "goferry-e2e-"); err != nil {
		return err
	}
	// Other users read what is unpacked here.
	if err := os.Chmod(tempRoot, 0o755); err != nil {
		return err
	}
	// buildah and podman fail where DOCKER_CONFIG names a directory without a file.
	if err := os.Mkdir(filepath.Join(tempRoot, "docker"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tempRoot, "docker", "config.json"), []byte("{}"), 0o644); err != nil {
		return err
	}
	out, err := exec.Command("go", "env", "-json").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	if err := json.Unmarshal(out, &goEnv); err != nil {
		return err
	}
	binary = filepath.Join(tempRoot, "bin", "goferry")
	build := exec.Command("go", "build", "-o", binary, "./cmd/goferry")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build goferry: %w\n%s", err, out)
	}
	return nil
}

// removeAll also removes the read-only directories of a module cache.
func removeAll(dir string) {
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// tempDir is a directory of the test that other users may enter, unlike t.TempDir's, and that may hold a module cache.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(tempRoot, "test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(dir) })
	return dir
}

// copyTree copies a directory of testdata, so that the test may change it.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(tempDir(t), filepath.Base(from))
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return dir
}
