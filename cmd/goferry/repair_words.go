package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/goferry/goferry/bundle"
	"github.com/goferry/goferry/oci"
)

// repairWords say what became of what was wrong, or would become of it.
type repairWords struct{ mended, removed, was string }

var (
	repairedWords   = repairWords{"mended", "removed", "was"}
	repairableWords = repairWords{"can be mended", "would be removed", "is"}
)

// print writes a line for each blob, or of a directory each file, and returns how many there are.
func (w repairWords) print(out io.Writer, problems []bundle.Problem) (mended, removed int) {
	for _, p := range problems {
		for _, f := range p.Files {
			if f.Problem == bundle.FileForeign {
				removed++
			} else {
				mended++
			}
			fmt.Fprintln(out, printable(w.file(f)))
		}
		if len(p.Files) == 0 {
			mended++
			fmt.Fprintln(out, printable(w.blob(p)))
		}
	}
	return mended, removed
}

func (w repairWords) file(f bundle.FileProblem) string {
	name := f.File
	if f.Module != "" {
		name += " (" + f.Module + ")"
	}
	switch f.Problem {
	case bundle.FileForeign:
		return w.removed + ": " + name + ": " + f.Error
	case bundle.FileMissing:
		return w.mended + ": " + name + ": " + w.was + " missing"
	}
	return w.mended + ": " + name + ": " + w.was + " damaged: " + f.Error
}

func (w repairWords) blob(p bundle.Problem) string {
	switch {
	case errors.Is(p.Err, bundle.ErrIncomplete), errors.Is(p.Err, oci.ErrNotFound):
		return w.mended + ": " + p.Name + ": " + w.was + " missing"
	case errors.Is(p.Err, oci.ErrDigest):
		return w.mended + ": " + p.Name + ": " + w.was + " damaged"
	}
	return w.mended + ": " + p.Name + ": " + w.was + " damaged: " + p.Error
}
