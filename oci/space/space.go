// Package space tells before a work begins whether a file system can take its result, and of an error
// afterwards whether it could not.
//
// What is needed is always a lower bound: names, blocks that are not full and the file system's own tables come
// on top. So nothing is refused that would fit, and a disk may still be full in the middle. Where the system does
// not say how much there is, as for inodes on btrfs and FAT, nothing is checked.
package space

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Need is what will be written, at least.
type Need struct {
	Bytes   int64
	Files   int64
	Largest int64 // bytes of the largest file
}

// Add adds a file.
func (n *Need) Add(bytes int64) {
	n.Bytes += max(bytes, 0)
	n.Files++
	n.Largest = max(n.Largest, bytes)
}

// free is what a file system has; -1 is not known.
type free struct {
	bytes, files int64
	fat          bool
}

// fatLimit is the size of the largest file on FAT.
const fatLimit = 1<<32 - 1

// Check fails with an [Error] if the file system of dir cannot take what is needed. Dir need not be there yet.
func Check(dir string, need Need) error {
	there, err := existing(dir)
	if err != nil {
		return nil // whoever writes will say it better
	}
	return fits(dir, need, freeAt(there))
}

// existing returns dir, or what is there of the way to it.
func existing(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, statErr := os.Stat(dir); statErr == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", os.ErrNotExist
		}
		dir = up
	}
	return "", err
}

func fits(path string, need Need, has free) error {
	switch {
	case has.fat && need.Largest > fatLimit:
		return &Error{path, FileSize, need.Largest, fatLimit}
	case has.bytes >= 0 && need.Bytes > has.bytes:
		return &Error{path, Bytes, need.Bytes, has.bytes}
	case has.files >= 0 && need.Files > has.files:
		return &Error{path, Files, need.Files, has.files}
	}
	return nil
}

// A Kind is what a file system can have too little of.
type Kind int

const (
	Bytes    Kind = iota
	Files         // inodes
	FileSize      // bytes of one file
)

// An Error is what a file system cannot take.
type Error struct {
	Path         string
	Kind         Kind
	Needed, Free int64
}

func (e *Error) Error() string {
	switch e.Kind {
	case Files:
		return fmt.Sprintf("%s: no room for so many files: at least %d are to be made, %d can be", e.Path, e.Needed, e.Free)
	case FileSize:
		return fmt.Sprintf("%s: the file system is FAT, where a file has at most %s, and one of %s is to be written", e.Path, exact(e.Free), exact(e.Needed))
	}
	return fmt.Sprintf("%s: not enough space: at least %s are needed, %s are free", e.Path, exact(e.Needed), exact(e.Free))
}

// exact is a number of bytes for people and to the byte.
func exact(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%s (%d bytes)", Text(n), n)
}

// Text is n bytes in the unit a person would say it in.
func Text(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// Full reports whether err came for want of space: it is an [Error], or what the system says of a full disk
// or a file that has become too large.
func Full(err error) bool {
	var e *Error
	return errors.As(err, &e) || isAny(err, full) || TooLarge(err)
}

// TooLarge reports whether err is of a file larger than its file system can have.
func TooLarge(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == FileSize || isAny(err, tooLarge)
}

func isAny(err error, kinds []error) bool {
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}
