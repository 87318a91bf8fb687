package main

import "testing"

func TestGreet(t *testing.T) {
	if err := greet("name"); err == nil {
		t.Error("greet takes what is no TOML")
	}
}
