package gomod

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Required is what a go.mod file asks for.
type Required struct {
	Modules   map[module.Version]string // sums of the zips, as go.sum has them; "" where it has none
	GoVersion string                    // at least that one: "go1.26.8"; "" if it does not say
}

// ReadRequired reads a go.mod file, and the go.sum file beside it if there is one. Modules that are replaced stand there
// as what they are replaced by, but not those that are directories.
func ReadRequired(name string) (*Required, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, err
	}
	sumFile := filepath.Join(filepath.Dir(name), "go.sum")
	data, err = os.ReadFile(sumFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	sums, err := parseSums(sumFile, data)
	if err != nil {
		return nil, fmt.Errorf("read %w", err)
	}
	r := &Required{Modules: make(map[module.Version]string)}
	for _, require := range f.Require {
		m := replaced(f, require.Mod)
		if m.Version != "" {
			r.Modules[m] = sums[m]
		}
	}
	if f.Go != nil {
		r.GoVersion = "go" + f.Go.Version
	}
	if f.Toolchain != nil && f.Toolchain.Name != "default" {
		r.GoVersion = f.Toolchain.Name
	}
	return r, nil
}

// replaced is what a go.mod file puts in place of m; without a version it is a directory.
func replaced(f *modfile.File, m module.Version) module.Version {
	var whole, exact *modfile.Replace
	for _, r := range f.Replace {
		switch {
		case r.Old == m:
			exact = r
		case r.Old == module.Version{Path: m.Path}:
			whole = r
		}
	}
	if r := cmp.Or(exact, whole); r != nil {
		return r.New
	}
	return m
}
