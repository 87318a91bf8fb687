package gomod

import (
	"fmt"
	"strings"

	"golang.org/x/mod/module"
)

// parseSums reads a go.sum file. The version of a go.mod sum ends in
// "/go.mod", as it does in the file.
func parseSums(name string, data []byte) (map[module.Version]string, error) {
	sums := map[module.Version]string{}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("%s:%d: malformed go.sum line", name, n)
		}
		m := module.Version{Path: f[0], Version: f[1]}
		// The go command passes over other algorithms, and over the hash of
		// nothing that Go 1.11 wrote for a missing go.mod.
		if !strings.HasPrefix(f[2], "h1:") || f[2] == emptyGoModSum {
			continue
		}
		if old := sums[m]; old != "" && old != f[2] {
			return nil, fmt.Errorf("%s:%d: %s@%s has two sums, %s and %s", name, n, m.Path, m.Version, old, f[2])
		}
		sums[m] = f[2]
	}
	return sums, nil
}

const emptyGoModSum = "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY="

// addSums notes what the go.sum file name says. Two projects that expect
// different bytes cannot both be served.
func (c *Captured) addSums(name string, data []byte) error {
	sums, err := parseSums(name, data)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	for m, sum := range sums {
		if old := c.sums[m]; old != "" && old != sum {
			return fmt.Errorf("capture: %s: %s@%s is %s, but %s in another project", name, m.Path, m.Version, sum, old)
		}
		c.sums[m] = sum
	}
	return nil
}
