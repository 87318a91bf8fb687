package gomod

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/goferry/goferry/bundle/toolchain"
)

const toolchainPath = "golang.org/toolchain"

// captureToolchains decides on the Go versions and fetches their distributions.
func (g *goCommand) captureToolchains(ctx context.Context, s *set, c *Captured, opts Options) error {
	versions, err := g.chooseToolchains(ctx, s, opts)
	if err != nil || len(versions) == 0 {
		return err
	}
	c.GoVersion = versions[0]
	platforms := sortedPlatforms(opts.Platforms)
	for _, v := range versions {
		for _, p := range platforms {
			t, err := g.fetchToolchain(ctx, v, p)
			if err != nil {
				return err
			}
			c.Toolchains = append(c.Toolchains, t)
			g.progress(Event{Phase: "toolchain", Module: t.Module.Path + "@" + t.Module.Version, Bytes: t.Module.Size})
		}
	}
	return nil
}

// sortedPlatforms returns the platforms by name, each once.
func sortedPlatforms(platforms []Platform) []Platform {
	platforms = slices.Clone(platforms)
	slices.SortFunc(platforms, func(a, b Platform) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(platforms)
}

// chooseToolchains returns the Go versions to carry, each once, in the order they were asked for.
func (g *goCommand) chooseToolchains(ctx context.Context, s *set, opts Options) ([]string, error) {
	var versions []string
	for _, word := range opts.Toolchains {
		v, err := g.chooseToolchain(ctx, s, word, opts.Platforms)
		if err != nil {
			return nil, err
		}
		if v != "" && !slices.Contains(versions, v) {
			versions = append(versions, v)
		}
	}
	return versions, nil
}

// chooseToolchain returns the Go version that a word of Options.Toolchains comes to, "" for none.
func (g *goCommand) chooseToolchain(ctx context.Context, s *set, word string, platforms []Platform) (string, error) {
	switch word {
	case "none":
		return "", nil
	case "latest":
		return g.latestToolchain(ctx, platforms)
	case "auto":
		return g.projectToolchain(s), nil
	}
	v := "go" + strings.TrimPrefix(word, "go")
	if !version.IsValid(v) {
		return "", fmt.Errorf("%w: %q is not a Go version such as go1.26.8", ErrUnknownToolchain, word)
	}
	return v, nil
}

// projectToolchain returns the version that the go command would switch to
// for the projects. Before Go 1.21 go.mod named a language and no release,
// and there was no module to switch to.
func (g *goCommand) projectToolchain(s *set) string {
	switch v := s.goVersion; {
	case v == "" && len(s.zips) == 0:
		return ""
	case version.Compare(v, "go1.21") < 0:
		running := g.user.GOVERSION
		if !version.IsValid(running) {
			g.warn(fmt.Sprintf("no toolchain captured: no project asks for go1.21 or later, and %q cannot be fetched", running))
			return ""
		}
		g.warn("no project asks for go1.21 or later: the toolchain is that of the go command, " + running)
		return running
	case v == version.Lang(v):
		return v + ".0"
	default:
		return v
	}
}

// fetchToolchain takes the zip of a toolchain from the user's cache or the kept
// downloads, or has the go command fetch it. Its .info and .mod are ours, since a cache that the
// go command filled by switching does not have both.
func (g *goCommand) fetchToolchain(ctx context.Context, v string, p Platform) (Toolchain, error) {
	m := module.Version{Path: toolchainPath, Version: toolchain.ModuleVersion(v, p.OS, p.Arch)}
	t := Toolchain{Version: v, Platform: p}
	if _, err := escape(m, "@"); err != nil {
		return t, fmt.Errorf("%w: %s for %s: %w", ErrUnknownToolchain, v, p, err)
	}
	name, size := g.find(m)
	if name == "" {
		if err := g.downloadToolchain(ctx, m, v, p); err != nil {
			return t, err
		}
		var err error
		if name, size, err = g.scratchZip(m); err != nil {
			return t, err
		}
	}
	t.Module = Module{Path: m.Path, Version: m.Version, Info: toolchain.Info(m.Version), Mod: []byte(toolchain.GoMod), Zip: name, Size: size}
	return t, nil
}

func (g *goCommand) downloadToolchain(ctx context.Context, m module.Version, v string, p Platform) error {
	g.progress(Event{Phase: "toolchain", Module: m.String()})
	// An existing directory spares extracting 11,500 files; see complete.
	tree, err := escape(m, "@")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(g.path("mod", tree), 0o755); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if _, err = g.download(ctx, m.String()); err == nil {
		return nil
	}
	// A proxy may refuse what it does not have, and what it has.
	if known, listErr := g.toolchains(ctx, p); listErr == nil && !slices.Contains(known, v) {
		return &ToolchainError{Version: v, Platform: p, Near: nearest(known, v)}
	}
	return fmt.Errorf("capture toolchain: %w", err)
}

// A ToolchainError says that a Go version is not to be had for a platform. It
// is [ErrUnknownToolchain] to errors.Is.
type ToolchainError struct {
	Version  string
	Platform Platform
	Near     []string // versions which the platform has; none: it has no toolchain at all
}

func (e *ToolchainError) Error() string {
	if len(e.Near) == 0 {
		return fmt.Sprintf("%v: the proxy has none for %s", ErrUnknownToolchain, e.Platform)
	}
	return fmt.Sprintf("%v: no %s for %s (near it: %s)", ErrUnknownToolchain, e.Version, e.Platform, strings.Join(e.Near, ", "))
}

func (e *ToolchainError) Is(target error) bool { return target == ErrUnknownToolchain }

// toolchains lists the Go versions that the proxy has for p, oldest first. The newest is not looked at for what it
// retracts: a proxy may refuse it.
func (g *goCommand) toolchains(ctx context.Context, p Platform) ([]string, error) {
	out, err := g.module(ctx, g.path("idle"), "list", "-m", "-versions", "-retracted", toolchainPath)
	if err != nil {
		return nil, err
	}
	var known []string
	for f := range strings.FieldsSeq(string(out.stdout)) {
		v, isToolchain := strings.CutPrefix(f, "v0.0.1-")
		v, isPlatform := strings.CutSuffix(v, "."+p.OS+"-"+p.Arch)
		if isToolchain && isPlatform && version.IsValid(v) {
			known = append(known, v)
		}
	}
	slices.SortFunc(known, version.Compare)
	return known, nil
}

// nearest returns up to three of the versions known on either side of v. Prereleases are near to others only.
func nearest(known []string, v string) []string {
	releases := slices.DeleteFunc(slices.Clone(known), isPrerelease)
	if len(releases) > 0 && !isPrerelease(v) {
		known = releases
	}
	i, _ := slices.BinarySearchFunc(known, v, version.Compare)
	return slices.Clone(known[max(0, i-3):min(len(known), i+3)])
}

// latestToolchain returns the newest release that every platform has.
func (g *goCommand) latestToolchain(ctx context.Context, platforms []Platform) (string, error) {
	var common []string
	for i, p := range platforms {
		known, err := g.toolchains(ctx, p)
		if err != nil {
			return "", fmt.Errorf("capture toolchain: %w", err)
		}
		common = slices.DeleteFunc(known, func(v string) bool {
			return isPrerelease(v) || i > 0 && !slices.Contains(common, v)
		})
	}
	if len(common) == 0 {
		return "", fmt.Errorf("%w: no release that every platform has", ErrUnknownToolchain)
	}
	return common[len(common)-1], nil
}

func isPrerelease(v string) bool {
	return strings.Contains(v, "rc") || strings.Contains(v, "beta")
}
