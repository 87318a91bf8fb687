package main

import (
	"testing"

	"git.corp.test/team/lib.git"
)

func TestName(t *testing.T) {
	if got := lib.Name("a b", "c"); got != `"a b".c` {
		t.Errorf("Name() = %s", got)
	}
}
