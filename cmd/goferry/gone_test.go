package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/goferry/goferry/oci"
)

// What is there, or only not there yet, is no medium that was pulled out.
func TestNotGone(t *testing.T) {
	dir := t.TempDir()
	places := []place{
		{oci.Reference{Transport: oci.TransportRegistry, Host: "localhost"}, "localhost/app"},
		{oci.Reference{Transport: oci.TransportLayout, Path: dir}, dir},
		{oci.Reference{Transport: oci.TransportArchive, Path: filepath.Join(dir, "not", "there.tar")}, "there.tar"},
	}
	if err := explainGone(fs.ErrNotExist, places); err != nil {
		t.Errorf("explainGone = %v, want nothing", err)
	}
}

func TestGoneExitCode(t *testing.T) {
	err := fmt.Errorf("%w: %w", errGone, errors.Join(oci.ErrDigest, oci.ErrNotFound))
	if code := exitCode(err); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	if err := explain(err, nil); !errors.Is(err, errGone) {
		t.Errorf("explain = %v", err)
	}
}
