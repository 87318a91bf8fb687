package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goferry/goferry/oci"
)

// errGone is a medium that was pulled out. Whatever a command took for missing or damaged because of that is
// nothing that it has found out.
var errGone = errors.New("gone")

// explainGone returns err as what it is if the medium of one of the places was pulled out, else nil: a stick that is
// not there any more gives many names to that, and "file exists" is one of them. Where it was unmounted as well there
// is a directory in its place again, and err alone tells, unless it is what a bad sector gives too.
func explainGone(err error, places []place) error {
	if errors.Is(err, errGone) {
		return err
	}
	for _, p := range places {
		if p.Path == "" || p.IsStream() {
			continue
		}
		told := oci.Gone(err) && !oci.Unreadable(err) && strings.Contains(err.Error(), p.Path)
		if told || oci.Gone(tryMedium(p.Path)) {
			return withHint(fmt.Errorf("the medium of %s is %w: %w", p.text, errGone, firstOf(err)), "plug it in again and run the same command: what has been copied is not copied again")
		}
	}
	return nil
}

// firstOf returns the first error where one was joined of all blobs that could not be read.
func firstOf(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if ok && strings.Contains(err.Error(), "\n") {
		return firstOf(joined.Unwrap()[0])
	}
	return err
}

// tryMedium returns what the system says of a file or directory, or of what is there of the way to it.
func tryMedium(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return nil // to open a pipe waits for somebody who writes into it
	}
	f, err := os.Open(path)
	if up := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) && up != path {
		return tryMedium(up)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		_, err = f.Readdirnames(1)
	} else if err == nil {
		_, err = f.ReadAt(make([]byte, 1), 0)
	}
	if err == io.EOF {
		err = nil
	}
	return err
}
