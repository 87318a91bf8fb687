package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is set by the linker in release builds (-ldflags "-X main.version=v1.2.3"). All
// others know their version from the module or the repository that they were built from.
var version string

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the version of goferry",
		Description: "goferry version\ngoferry version --format json",
		Flags:       []cli.Flag{formatFlag()},
		Action:      printVersion,
	}
}

type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func printVersion(c *cli.Context) error {
	if _, err := arguments(c); err != nil {
		return err
	}
	if err := checkFormat(c, "text", "json"); err != nil {
		return err
	}
	v := buildVersion()
	if c.String("format") == "json" {
		return printJSON(c, v)
	}
	_, err := fmt.Fprintf(c.App.Writer, "goferry %s (%s, %s)\n", v.Version, v.Go, v.Platform)
	return err
}

func buildVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = cmp.Or(v.Version, info.Main.Version)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	v.Version = cmp.Or(v.Version, "(devel)")
	return v
}
