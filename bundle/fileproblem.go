package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// A FileProblem is a file of an unpacked directory that is not what was verified.
type FileProblem struct {
	File    string `json:"file"`             // below the current generation, with slashes
	Module  string `json:"module,omitempty"` // what it was unpacked from, "path@version" or "tool path@version"; "": it is made of all
	Problem string `json:"problem"`          // FileDamaged, FileMissing or FileForeign
	Error   string `json:"error"`
}

// What can be wrong with a file.
const (
	FileDamaged = "damaged"
	FileMissing = "missing"
	FileForeign = "foreign" // nobody unpacked it
)

func (p FileProblem) String() string {
	text := p.Problem + ": " + p.File
	if p.Module != "" {
		text += " (" + p.Module + ")"
	}
	if p.Problem == FileDamaged {
		text += ": " + p.Error
	}
	return text
}

// lookAt says what is wrong with a file, as far as that shows without reading it; nil: nothing. Which mode it had depends
// on the filesystem, and so is told by f; but no mode makes a link right, or a file that others can change.
func lookAt(root *os.Root, f stateFile) *FileProblem {
	p := &FileProblem{File: f.Name, Problem: FileDamaged}
	info, err := root.Lstat(f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Problem, p.Error = FileMissing, "it is not there"
	case err != nil:
		p.Error = err.Error()
	case !info.Mode().IsRegular() || info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|othersWrite(root)) != 0:
		p.Error = fmt.Sprintf("its mode is %v", info.Mode())
	case info.Mode() != f.Mode:
		p.Error = fmt.Sprintf("its mode is %v, not %v", info.Mode(), f.Mode)
	case info.Size() != f.Size:
		p.Error = fmt.Sprintf("it has %d bytes, not %d", info.Size(), f.Size)
	default:
		return nil
	}
	return p
}

// othersWrite are the bits of modes that nothing in a generation has. Where others can change the generation itself, it
// lies on a filesystem without modes, or somebody wants it so.
func othersWrite(generation *os.Root) fs.FileMode {
	const bits = 0o022
	if info, err := generation.Stat("."); err != nil || info.Mode()&bits != 0 {
		return 0
	}
	return bits
}

func sortProblems(problems []FileProblem) {
	slices.SortFunc(problems, func(a, b FileProblem) int { return cmp.Compare(a.File, b.File) })
}

// problemsError is problems as one error: the first, and how many there are besides.
func problemsError(problems []FileProblem) error {
	first := fmt.Errorf("%s: %s", problems[0].File, problems[0].Error)
	if n := len(problems) - 1; n > 0 {
		return fmt.Errorf("%w (and %d more)", first, n)
	}
	return first
}
