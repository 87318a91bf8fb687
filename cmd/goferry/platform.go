package main

import (
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/bundle/gomod"
)

func hostPlatform() gomod.Platform {
	return gomod.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
}

// platforms returns the values of --platform, without repetitions, in the order given.
func platforms(c *cli.Context) ([]gomod.Platform, error) {
	var list []gomod.Platform
	for _, value := range c.StringSlice("platform") {
		for text := range strings.SplitSeq(value, ",") {
			os, arch, ok := strings.Cut(strings.TrimSpace(text), "/")
			if !ok || !isPlatformWord(os) || !isPlatformWord(arch) {
				return nil, withHint(usagef("platform %q is not OS/ARCH", text), "list the platforms with \"go tool dist list\"")
			}
			if p := (gomod.Platform{OS: os, Arch: arch}); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

func isPlatformWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}

// packPlatforms returns the platforms that are packed for, this one if none is named.
func packPlatforms(c *cli.Context, toolchains []string) ([]gomod.Platform, error) {
	list, err := platforms(c)
	if err != nil {
		return nil, err
	}
	if slices.Equal(toolchains, []string{"none"}) {
		for _, p := range list {
			if err := checkPlatform(p); err != nil {
				return nil, err
			}
		}
	}
	if len(list) == 0 {
		list = []gomod.Platform{hostPlatform()}
	}
	return list, nil
}

// checkPlatform refuses a platform that no Go is made for. That is for bundles without a toolchain; else the module proxy
// says whether there is one.
func checkPlatform(p gomod.Platform) error {
	switch arches, ok := ports[p.OS]; {
	case !ok:
		return withHint(usagef("platform %q: Go knows no operating system %q", p, p.OS), "it knows %s", strings.Join(slices.Sorted(maps.Keys(ports)), ", "))
	case !slices.Contains(strings.Fields(arches), p.Arch):
		return withHint(usagef("platform %q: Go knows no architecture %q of %s", p, p.Arch, p.OS), "it knows %s", strings.ReplaceAll(arches, " ", ", "))
	}
	return nil
}

// ports are the architectures of each operating system that there is a Go for, as "go tool dist list" has them.
var ports = map[string]string{
	"aix":       "ppc64",
	"android":   "386 amd64 arm arm64",
	"darwin":    "amd64 arm64",
	"dragonfly": "amd64",
	"freebsd":   "386 amd64 arm arm64 riscv64",
	"illumos":   "amd64",
	"ios":       "amd64 arm64",
	"js":        "wasm",
	"linux":     "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x",
	"netbsd":    "386 amd64 arm arm64",
	"openbsd":   "386 amd64 arm arm64 ppc64 riscv64",
	"plan9":     "386 amd64 arm",
	"solaris":   "amd64",
	"wasip1":    "wasm",
	"windows":   "386 amd64 arm arm64",
}
