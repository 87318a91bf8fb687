package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/goferry/goferry/bundle/gomod"
)

// TestPorts holds that every platform of this Go can be packed for.
func TestPorts(t *testing.T) {
	out, err := exec.Command("go", "tool", "dist", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		os, arch, _ := strings.Cut(name, "/")
		if err := checkPlatform(gomod.Platform{OS: os, Arch: arch}); err != nil {
			t.Error(err)
		}
	}
}
