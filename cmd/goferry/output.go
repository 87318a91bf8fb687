package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/goferry/goferry/oci/space"
)

func formatFlag() cli.Flag {
	return &cli.StringFlag{Name: "format", Value: "text", Usage: "print `text|json`"}
}

func checkFormat(c *cli.Context, known ...string) error {
	if f := c.String("format"); !slices.Contains(known, f) {
		return usagef("unknown format %q: it is %s", f, strings.Join(known, " or "))
	}
	return nil
}

// printJSON prints v as one indented JSON value. encoding/json escapes control characters.
func printJSON(c *cli.Context, v any) error {
	enc := json.NewEncoder(c.App.Writer)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// size returns n bytes in the unit a person would say it in.
func size(n int64) string { return space.Text(n) }

// count is "1 blob" or "2 blobs".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// replaceFile writes a file wholly or not at all.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f.Chmod(0o644) // on sticks there are no modes
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
