package main

import (
	"errors"
	"fmt"
	"os"
)

// errNotSmall is a file that cannot be meant.
var errNotSmall = errors.New("not a file")

// isFile says whether there is a regular file of that name. To open anything else may wait for ever, as for somebody who
// writes into a pipe.
func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// readSmall reads a file that can only be meant if it is a regular and a small one.
func readSmall(name string, most int64) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s is %w of at most %d bytes", name, errNotSmall, most)
	}
	return os.ReadFile(name)
}

// readNamed is readSmall for what the command line names.
func readNamed(name string, most int64) ([]byte, error) {
	data, err := readSmall(name, most)
	if errors.Is(err, errNotSmall) {
		return nil, usagef("%w", err)
	}
	return data, err
}
