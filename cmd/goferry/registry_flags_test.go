package main

import (
	"regexp"
	"testing"
)

// TestUserAgent holds that the name is one that a proxy can read: a product with a version, and a comment.
func TestUserAgent(t *testing.T) {
	if form := regexp.MustCompile(`^goferry/[^ ()]+ \(cosign-compatible\)$`); !form.MatchString(userAgent()) {
		t.Errorf("userAgent() = %q, want %s", userAgent(), form)
	}
}
