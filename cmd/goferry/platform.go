package main

import (
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
