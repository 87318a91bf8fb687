package e2e

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// TestFleet keeps three directories the same with a few lines of shell and no network: one that is damaged in three ways,
// one that has an older bundle, and one that is right.
func TestFleet(t *testing.T) {
	need(t, "unshare", "apt-get install util-linux")
	dir := tempDir(t)
	key, layout := filepath.Join(dir, "release"), "oci:"+filepath.Join(dir, "layout")
	c := command{dir: dir, env: []string{"COSIGN_PASSWORD="}}
	c.must(t, binary, "keygen", "--out", key)
	pack := []string{"pack", "--toolchain", "none", "--sign-key", key + ".key", "--module", "golang.org/x/mod@v0.41.0", "--module"}
	c.must(t, binary, append(pack, "golang.org/x/text@v0.42.0", "-o", layout+":v1")...)
	want := c.must(t, binary, append(pack, "golang.org/x/text@v0.43.0", "-o", layout+":v2")...)
	damaged, older, right := filepath.Join(dir, "damaged"), filepath.Join(dir, "older"), filepath.Join(dir, "right")
	for root, tag := range map[string]string{damaged: ":v2", older: ":v1", right: ":v2"} {
		goferry(t, "unpack", "--key", key+".pub", layout+tag, root)
	}
	const x = "current/mod/cache/download/golang.org/x/"
	loseBit(t, filepath.Join(damaged, x+"text/@v/v0.43.0.zip"))
	if err := os.Remove(filepath.Join(damaged, x+"mod/@v/v0.41.0.mod")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(damaged, x+"mod/@v/v0.99.0.mod"), []byte("module golang.org/x/mod\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := fileProblems(t, damaged), "missing golang.org/x/mod@v0.41.0; foreign ; damaged golang.org/x/text@v0.43.0"; got != want {
		t.Errorf("status found %q, want %q", got, want)
	}
	before := treeDigest(t, right)

	keep := func() result {
		cmd := []string{"-n"}
		if os.Geteuid() != 0 {
			cmd = []string{"-rn"}
		}
		c := command{env: []string{"PATH=" + filepath.Dir(binary) + ":/usr/bin:/bin"}}
		script, err := filepath.Abs("testdata/fleet/keep.sh")
		if err != nil {
			t.Fatal(err)
		}
		return c.run(t, "unshare", append(cmd, "sh", script, key+".pub", layout+":v2", damaged, older, right)...)
	}
	keep().want(t, 0)
	if after := treeDigest(t, right); after != before {
		t.Error("the directory that was right has changed")
	}
	for _, root := range []string{damaged, older, right} {
		if got := fileProblems(t, root); got != "" || currentDigest(t, root) != want {
			t.Errorf("%s has %s, and the problems %q", root, currentDigest(t, root), got)
		}
		if got := treeDigest(t, root); got != before {
			t.Errorf("%s is another tree than %s", root, right)
		}
	}
	if again := keep().want(t, 0); strings.Count(again.stdout, ": nothing would change") != 3 {
		t.Errorf("once more: %s", again.stdout)
	}
}

// loseBit changes a file as a disk does that forgets: neither size nor time tell.
func loseBit(t *testing.T, name string) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

type rootStatus struct {
	Bundles  []struct{ Digest string }
	Problems []struct{ Problem, Module string }
}

func statusOf(t *testing.T, root string) rootStatus {
	t.Helper()
	out, err := exec.Command(binary, "status", "--check", "--format", "json", root).Output()
	var list []rootStatus
	if jsonErr := json.Unmarshal(out, &list); jsonErr != nil || len(list) != 1 {
		t.Fatalf("status: %v, %v: %s", err, jsonErr, out)
	}
	return list[0]
}

// fileProblems returns what status --check finds, in the order of the files.
func fileProblems(t *testing.T, root string) string {
	t.Helper()
	var found []string
	for _, p := range statusOf(t, root).Problems {
		found = append(found, p.Problem+" "+p.Module)
	}
	return strings.Join(found, "; ")
}

func currentDigest(t *testing.T, root string) string {
	t.Helper()
	return statusOf(t, root).Bundles[0].Digest
}

// treeDigest is one for all that is in the current generation, wherever it is. What goferry notes of it, with times, is
// left out.
func treeDigest(t *testing.T, root string) digest.Digest {
	t.Helper()
	all := digest.Canonical.Digester()
	at, err := filepath.EvalSymlinks(filepath.Join(root, "current"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(at, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "state.json" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var data []byte
		if !d.IsDir() {
			if data, err = os.ReadFile(name); err != nil {
				return err
			}
		}
		text := strings.ReplaceAll(string(data), root, "ROOT")
		_, err = all.Hash().Write([]byte(info.Mode().String() + " " + strings.TrimPrefix(name, at) + " " + digest.FromString(text).String() + "\n"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Digest()
}
