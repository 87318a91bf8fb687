//go:build !unix

package gomod

import "os/exec"

// killGroup does nothing: cancelling kills the go command alone, and what it
// has started ends when its pipes close.
func killGroup(*exec.Cmd) {}
