package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGreeting(t *testing.T) {
	if diff := cmp.Diff("hello, gopher number 1,000", greeting("gopher")); diff != "" {
		t.Error(diff)
	}
}
