package toolchain

import (
	"io/fs"
	"testing"
)

func TestParseVersion(t *testing.T) {
	for _, c := range []struct{ version, goVersion, goos, goarch string }{
		{"v0.0.1-go1.26.8.linux-amd64", "go1.26.8", "linux", "amd64"},
		{"v0.0.1-go1.26.0.windows-arm64", "go1.26.0", "windows", "arm64"},
		{"v0.0.1-go1.9rc2.darwin-amd64", "go1.9rc2", "darwin", "amd64"},
	} {
		goVersion, goos, goarch, err := ParseVersion(c.version)
		if err != nil || goVersion != c.goVersion || goos != c.goos || goarch != c.goarch {
			t.Errorf("ParseVersion(%q) = %q, %q, %q, %v", c.version, goVersion, goos, goarch, err)
		}
		if v := ModuleVersion(c.goVersion, c.goos, c.goarch); v != c.version {
			t.Errorf("ModuleVersion(%q, %q, %q) = %q, want %q", c.goVersion, c.goos, c.goarch, v, c.version)
		}
	}
	for _, bad := range []string{
		"", "v0.0.1-", "v0.0.1-go1.26.8", "v0.0.2-go1.26.8.linux-amd64", "go1.26.8.linux-amd64",
		"v0.0.1-1.26.8.linux-amd64", "v0.0.1-go1.26.8.linux", "v0.0.1-go1.26.8.linux-", "v0.0.1-go1.26.8.linux-amd64-v3",
		"v0.0.1-go1.26.8.Linux-amd64", "v0.0.1-go1.26.8-fork.linux-amd64", "v0.0.1-go1.26.8.linux-amd64/..",
		"v0.0.1-../../x.linux-amd64", "v0.0.1-go1.26.8.linux-amd64\n",
	} {
		if goVersion, goos, goarch, err := ParseVersion(bad); err == nil {
			t.Errorf("ParseVersion(%q) = %q, %q, %q, want an error", bad, goVersion, goos, goarch)
		}
	}
}

// The rule is that of mode in Go's cmd/distpack.
func TestMode(t *testing.T) {
	for name, want := range map[string]fs.FileMode{
		"bin/go":                          0o755,
		"bin/gofmt.exe":                   0o755,
		"pkg/tool/linux_amd64/compile":    0o755,
		"pkg/include/textflag.h":          0o644,
		"src/all.bash":                    0o755,
		"src/all.rc":                      0o755,
		"src/all.bat":                     0o644,
		"src/syscall/mkall.sh":            0o755,
		"src/syscall/mksyscall.pl":        0o755,
		"lib/wasm/go_js_wasm_exec":        0o755,
		"misc/wasm/go_wasip1_wasm_exec":   0o755,
		"lib/wasm/go_exec":                0o644,
		"lib/wasm/go_js_wasm_exec/README": 0o644,
		"src/bin/go":                      0o644,
	} {
		if got := Mode(name); got != want {
			t.Errorf("Mode(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestNamesMapExactly(t *testing.T) {
	for inZip, inLayer := range map[string]string{
		"_go.mod":         "go.mod",
		"src/cmd/_go.mod": "src/cmd/go.mod",
		"src/x_go.mod":    "src/x_go.mod",
		"src/go.sum":      "src/go.sum",
		"_go.mod/x":       "_go.mod/x",
	} {
		if got, err := layerName(inZip); err != nil || got != inLayer {
			t.Errorf("layerName(%q) = %q, %v, want %q", inZip, got, err, inLayer)
		}
		if got, err := zipName(inLayer); err != nil || got != inZip {
			t.Errorf("zipName(%q) = %q, %v, want %q", inLayer, got, err, inZip)
		}
	}
	for _, bad := range []string{"go.mod", "src/go.mod", "src/GO.mod", "../x", "/x", "a//b", "a/./b", "", "aux", "src/con.go", "a:b", `a\b`, "a.", "x\x00"} {
		if got, err := layerName(bad); err == nil {
			t.Errorf("layerName(%q) = %q, want an error", bad, got)
		}
	}
	for _, bad := range []string{"_go.mod", "src/_go.mod", "src/_GO.mod", "../x", "/x", "nul.txt"} {
		if got, err := zipName(bad); err == nil {
			t.Errorf("zipName(%q) = %q, want an error", bad, got)
		}
	}
}

func TestNamesThatCannotBeTogether(t *testing.T) {
	for _, c := range []struct {
		a, b string
		ok   bool
	}{
		{"src/a.go", "src/b.go", true},
		{"src/a", "src2/a", true},
		{"src/a.go", "src/a.go", false},
		{"src/a.go", "src/A.go", false},
		{"src/a.go", "Src/b.go", false},
		{"src/k.go", "src/\u212a.go", false}, // the Kelvin sign
		{"src/a", "src/a/b", false},
		{"src/a/b", "src/a", false},
	} {
		s := &seen{entries: make(map[string]entry)}
		if err := s.add(c.a); err != nil {
			t.Fatal(err)
		}
		if err := s.add(c.b); (err == nil) != c.ok {
			t.Errorf("%q behind %q: %v, want ok = %v", c.b, c.a, err, c.ok)
		}
	}
}
